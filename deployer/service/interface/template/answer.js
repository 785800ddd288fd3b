// The answer of either kind of API, in words, and the entry of each model.

const WORDS = {
  InvalidInput: "The service refuses the input.",
  InvalidExecutionInput: "The service refuses the input: it is not JSON.",
  ValidationException: "The input is too large.",
  TooLarge: "The input is too large.",
  UnsupportedMediaType: "The service takes JSON alone.",
  TooManyRequests: "Too many requests; try again in a moment.",
  NoModelAnswered: "No model could answer; try again later.",
  TimedOut: "The models did not answer in time; try again later.",
  "States.Timeout": "The models did not answer in time; try again later.",
  ServiceUnavailable: "The service is not available; try again later.",
  Unauthorized: "The service asks for a token, and this one is missing, wrong or expired.",
  Forbidden: "The service denies access: the credentials are missing, wrong or do not allow it.",
  NotFound: "There is no such path: is the URL complete?",
};
const BY_STATUS = {
  401: WORDS.Unauthorized,
  403: WORDS.Forbidden,
  404: WORDS.NotFound,
  413: WORDS.TooLarge,
  415: WORDS.UnsupportedMediaType,
  429: WORDS.TooManyRequests,
  503: WORDS.ServiceUnavailable,
  504: WORDS.TimedOut,
};
const MEMBERS = ["predictions", "probabilities", "decisions", "scores", "transformed"];
const MOST = 12; // classes, and numbers of a list, that are shown

// What an answer says: {output} of the workflow, or {problem, detail}.
function outcome(service, {status, text}) {
  const body = parsed(text);
  if (service.api === "http" && status === 200 && body?.status) {
    if (body.status === "SUCCEEDED") return {output: parsed(body.output)};
    return {problem: inWords(body.error || "", 200), detail: body.cause || ""};
  }
  if (service.api === "rest" && status === 200 && body !== undefined) {
    return {output: isWrapped(body) ? body.results : body};
  }
  if (status === 200) return {problem: "This is no answer of the service: is the URL right?", detail: ""};
  const type = body?.error?.type || body?.__type?.split("#").pop() || "";
  const detail = body?.error?.message || body?.message || body?.Message || "";
  return {problem: `${inWords(type, status)} (HTTP ${status})`, detail};
}

function inWords(type, status) {
  if (Object.hasOwn(WORDS, type)) return WORDS[type];
  return BY_STATUS[status] || `The workflow failed${type ? `: ${type}` : ""}.`;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isWrapped(body) {
  return body !== null && typeof body === "object" && Object.keys(body).join() === "results" && areEntries(body.results);
}

function areEntries(output) {
  return Array.isArray(output) && output.length > 0 && output.every(isEntry);
}

function isEntry(entry) {
  if (entry === null || typeof entry !== "object" || !("model" in entry)) return false;
  return "error" in entry || "skipped" in entry || MEMBERS.some((member) => Array.isArray(entry[member]));
}

function summary(output, milliseconds) {
  const time = `${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms`;
  if (!areEntries(output)) return `Answered in ${time}.`;
  const answered = output.filter((entry) => !("error" in entry) && !("skipped" in entry)).length;
  const failed = output.filter((entry) => "error" in entry).length;
  const models = answered === 1 ? "1 model" : `${answered} models`;
  return `${models} answered in ${time}${failed ? `, ${failed} failed` : ""}.`;
}

function resultOf(output) {
  return areEntries(output) ? output.map(entryBox) : [element("pre", {tabindex: "0", "aria-label": "Output"}, JSON.stringify(output, null, 2))];
}

function entryBox(entry) {
  const head = element("div", {class: "model-head"}, element("h3", {}, String(entry.model)));
  if (entry.version) head.append(element("span", {class: "version"}, `version ${entry.version}`));
  const box = element("article", {class: "error" in entry ? "model failed" : "model"}, head);
  if ("error" in entry) box.append(element("p", {class: "problem"}, `This model failed: ${entry.error}`));
  else if ("skipped" in entry) box.append(element("p", {class: "member"}, `Not asked: ${entry.skipped}.`));
  else box.append(...recordsOf(entry));
  return box;
}

function recordsOf(entry) {
  const members = MEMBERS.filter((member) => Array.isArray(entry[member]));
  const count = Math.max(...members.map((member) => entry[member].length));
  return Array.from({length: count}, (_, number) => {
    const parts = members.map((member) => memberOf(entry, member, entry[member][number])).flat();
    if (count > 1) parts.unshift(element("p", {class: "record-name"}, `Record ${number + 1}`));
    return element("div", {class: "record"}, ...parts);
  });
}

function memberOf(entry, member, value) {
  if (member === "predictions") return predictionOf(entry, value);
  if (member !== "probabilities") return [element("p", {class: "member"}, `${member}: ${listed(value)}`)];
  const nested = Array.isArray(value) && Array.isArray(value[0]);
  if (!nested) return [sharesOf(entry.classes, value)];
  return value.flatMap((shares, number) => [
    element("p", {class: "record-name"}, entry.targets?.[number] ?? `target ${number + 1}`),
    sharesOf(entry.classes?.[number], shares),
  ]);
}

function predictionOf(entry, value) {
  if (!Array.isArray(value)) return [element("p", {class: "prediction"}, shown(value))];
  const named = value.slice(0, MOST).map((one, number) => `${entry.targets?.[number] ?? number + 1}: ${shown(one)}`);
  return [element("p", {class: "prediction many"}, named.join(", ") + more(value))];
}

function sharesOf(classes, shares) {
  const rows = shares.map((share, number) => ({label: String(classes?.[number] ?? number), share}));
  const highest = Math.max(...shares);
  const kept = rows.length > MOST ? [...rows].sort((one, other) => other.share - one.share).slice(0, MOST) : rows;
  const list = element("ul", {class: "shares", "aria-label": "Probabilities"}, ...kept.map(({label, share}) => shareOf(label, share, share === highest)));
  if (rows.length > MOST) list.append(element("li", {class: "hint"}, `and ${rows.length - MOST} more classes`));
  return list;
}

function shareOf(label, share, isTop) {
  const bar = element("div", {class: "bar"});
  bar.style.width = `${Math.min(Math.max(share, 0), 1) * 100}%`;
  return element(
    "li",
    {class: isTop ? "share top" : "share"},
    element("span", {class: "label"}, label),
    element("span", {class: "percent"}, `${(share * 100).toFixed(1)} %`),
    element("div", {class: "track", "aria-hidden": "true"}, bar),
  );
}

function listed(value) {
  return Array.isArray(value) ? value.slice(0, MOST).map(listed).join(", ") + more(value) : shown(value);
}

function more(values) {
  return values.length > MOST ? ` and ${values.length - MOST} more` : "";
}

function shown(value) {
  return typeof value === "number" && !Number.isInteger(value) ? String(Number(value.toPrecision(6))) : String(value);
}
