"""What several test files share: tiny models, laws, closed forms, local servers."""
