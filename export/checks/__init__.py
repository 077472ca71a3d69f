"""What must hold before and after an export is written."""
