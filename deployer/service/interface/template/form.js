// The form: one field for each feature, and the request that its values make. Texts of the user's
// are set as text, never as markup.

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

// Say what is wrong with a control, next to it and to a screen reader; "" takes it back.
function sayProblem(control, place, problem) {
  place.textContent = problem;
  place.hidden = !problem;
  if (problem) control.setAttribute("aria-invalid", "true");
  else control.removeAttribute("aria-invalid");
}

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
const BELOW_ZERO_KEYBOARD = "text"; // some phones' keyboards for numbers have no minus sign

class Field {
  constructor(feature, number) {
    this.feature = feature;
    this.id = `feature-${number}`;
    this.control = this.makeControl();
    this.hint = element("p", {class: "hint", id: `${this.id}-hint`}, hintOf(feature));
    this.note = element("p", {class: "note", id: `${this.id}-note`, hidden: true});
    this.problem = element("p", {class: "problem", id: `${this.id}-problem`, hidden: true});
    this.unit = feature.unit ? element("span", {class: "unit", id: `${this.id}-unit`}, feature.unit) : null;
    const told = [this.unit, this.hint, this.note, this.problem].filter(Boolean);
    this.control.setAttribute("aria-describedby", told.map((one) => one.id).join(" "));
    this.box = element("div", {class: feature.long ? "field wide" : "field"}, ...this.parts());
    this.control.addEventListener("input", () => this.changed());
  }

  get chooses() {
    return this.control.tagName === "SELECT";
  }

  makeControl() {
    const {feature, id} = this;
    if (feature.categories || feature.type === "boolean") {
      const choices = feature.categories || [true, false];
      const options = choices.map((choice) => element("option", {value: JSON.stringify(choice)}, String(choice)));
      if (feature.nullable) options.push(element("option", {value: "null"}, "no value (null)"));
      return element("select", {id}, ...options);
    }
    if (feature.long) return element("textarea", {id, rows: 5});
    const mode = feature.type === "number" && feature.range && feature.range[0] >= 0 ? "decimal" : BELOW_ZERO_KEYBOARD;
    return element("input", {id, type: "text", inputmode: mode, autocomplete: "off", spellcheck: "false"});
  }

  parts() {
    const {feature, id} = this;
    const control = this.unit ? element("div", {class: "with-unit"}, this.control, this.unit) : this.control;
    const parts = [element("label", {for: id}, feature.name), control, this.hint, this.note, this.problem];
    if (feature.nullable && !this.chooses) {
      this.none = element("input", {type: "checkbox", id: `${id}-null`, "aria-label": `${feature.name}: no value (null)`});
      this.none.addEventListener("change", () => this.changed());
      parts.push(element("label", {class: "null", for: `${id}-null`}, this.none, "no value (null)"));
    }
    return parts;
  }

  show(value) {
    if (this.none) this.none.checked = value === null;
    if (this.chooses) this.control.value = JSON.stringify(value);
    else this.control.value = value === null ? "" : String(value);
    if (this.chooses && this.control.selectedIndex < 0) this.control.selectedIndex = 0;
    this.changed();
  }

  changed() {
    this.control.disabled = Boolean(this.none && this.none.checked);
    this.say("");
    const [low, high] = this.feature.range || [-Infinity, Infinity];
    const value = Number(this.control.value);
    const outside = !this.control.disabled && this.feature.type === "number" && this.control.value !== "" && (value < low || value > high);
    this.note.hidden = !outside;
    this.note.textContent = outside ? "Outside the range of the training: the answer is a guess." : "";
  }

  say(problem) {
    sayProblem(this.control, this.problem, problem);
  }

  // The value as JSON text: digits are sent as they were typed.
  get text() {
    if (this.none && this.none.checked) return "null";
    if (this.chooses) return this.control.value;
    return this.feature.type === "number" ? this.control.value.trim() : JSON.stringify(this.control.value);
  }

  check() {
    const isNumber = this.feature.type === "number" && !this.chooses && !(this.none && this.none.checked);
    const text = this.text;
    let problem = "";
    if (isNumber && text === "") problem = this.feature.nullable ? "Type a number, or choose no value." : "Type a number.";
    else if (isNumber && !NUMBER.test(text)) problem = "This is no number; write it as 12.5 or 1e-3.";
    else if (isNumber && this.feature.whole && !Number.isInteger(Number(text))) problem = "This must be a whole number.";
    this.say(problem);
    return !problem;
  }
}

function hintOf(feature) {
  const span = feature.range ? `in the training from ${feature.range[0]} to ${feature.range[1]}` : "";
  const kind = feature.whole ? "a whole number" : {number: "a number", boolean: "true or false", string: "text"}[feature.type];
  const parts = [feature.categories ? "categories of the training" : kind, span].filter(Boolean).join(", ");
  const sentence = `${parts[0].toUpperCase()}${parts.slice(1)}.`;
  return feature.description ? `${feature.description.replace(/\.$/, "")}. ${sentence}` : sentence;
}

class Form {
  constructor(service) {
    this.service = service;
    this.fields = service.features.map((feature, number) => new Field(feature, number));
    this.find("fields").append(...this.fields.map((field) => field.box));
    this.models = service.alike ? [] : service.models.map((model, number) => this.addModel(model, number));
    this.find("models").hidden = !this.models.length;
    this.find("modes").hidden = !service.shipped;
    this.find("json-hint").textContent = service.shipped
      ? 'One record, or a batch: {"instances": [{...}, {...}]}.'
      : "What the workflow takes; the example has the features of all its models.";
    for (const radio of this.find("modes").querySelectorAll("input")) radio.addEventListener("change", () => this.switchMode());
    this.reset();
  }

  find(id) {
    return document.getElementById(id);
  }

  addModel(model, number) {
    const box = element("input", {type: "checkbox", id: `model-${number}`, checked: true});
    box.addEventListener("change", () => this.showNeeded());
    this.find("models-problem").before(element("label", {for: box.id}, box, model.name));
    return {box, features: new Set(model.features)};
  }

  get asJson() {
    return !this.service.shipped || this.find("modes").querySelector("input:checked").value === "json";
  }

  // The fields that the chosen models need.
  get needed() {
    const chosen = this.models.filter((model) => model.box.checked);
    return this.fields.filter((field) => !this.models.length || chosen.some((model) => model.features.has(field.feature.name)));
  }

  showNeeded() {
    const needed = new Set(this.needed);
    for (const field of this.fields) field.box.hidden = this.asJson || !needed.has(field);
  }

  switchMode() {
    if (this.asJson) this.find("json").value = pretty(this.record);
    this.find("json-field").hidden = !this.asJson;
    this.find("fields").hidden = this.asJson;
    this.find("models").hidden = this.asJson || !this.models.length;
    this.showNeeded();
  }

  reset() {
    for (const field of this.fields) field.show(this.service.example[field.feature.name]);
    for (const model of this.models) model.box.checked = true;
    this.find("modes").querySelector("input").checked = true;
    this.switchMode();
    this.sayJson("");
  }

  get record() {
    return `{${this.needed.map((field) => `${JSON.stringify(field.feature.name)}: ${field.text}`).join(", ")}}`;
  }

  get body() {
    return this.asJson ? this.find("json").value : this.record;
  }

  sayJson(problem) {
    sayProblem(this.find("json"), this.find("json-problem"), problem);
  }

  // The first control with a problem; all problems are shown.
  check() {
    if (!this.asJson) {
      const wrong = this.needed.filter((field) => !field.check());
      const none = this.needed.length === 0;
      this.find("models-problem").textContent = none ? "Choose at least one model." : "";
      this.find("models-problem").hidden = !none;
      if (none) return this.models[0].box;
      return wrong.length ? wrong[0].control : null;
    }
    try {
      JSON.parse(this.find("json").value);
      this.sayJson("");
      return null;
    } catch (error) {
      this.sayJson(`This is not JSON: ${error.message}`);
      return this.find("json");
    }
  }
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text; // of a form with a field that is not filled in yet
  }
}
