// The control of what the model is conditioned on.

// `about` is null, or its shape, dtype and the labels that there are.
export function makeCondition(about, changed) {
  if (about === null) return { value: () => null };
  document.getElementById("condition-field").hidden = false;
  const slot = document.getElementById("condition-slot");
  const size = about.shape.reduce((a, b) => a * b, 1);
  let value = new Array(size).fill(about.classes ? about.classes[0] : 0);
  let control;
  if (about.classes) {
    control = document.createElement("select");
    for (const label of about.classes) control.append(new Option(label, label));
  } else if (size <= 64) {
    control = document.createElement("input");
    control.value = value.join(", ");
    control.title = size === 1 ? "a number" : `${size} numbers, commas between them`;
  } else {
    slot.textContent = `an array of ${about.shape.join(" x ")}; zeros are shown`;
    return { value: () => value };
  }
  control.setAttribute("aria-label", "condition");
  control.addEventListener("input", () => {
    const given = control.value.split(",").map((word) => Number(word.trim() || NaN));
    const whole = about.dtype !== "int32" || given.every(Number.isInteger);
    const fine = given.length === size && given.every(Number.isFinite) && whole;
    control.setCustomValidity?.(fine ? "" : control.title);
    control.setAttribute("aria-invalid", String(!fine));
    if (!fine) return;
    value = given;
    changed();
  });
  slot.append(control);
  return { value: () => value };
}
