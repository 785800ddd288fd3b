// The page: what happens when the form is sent, changed or copied.

const service = JSON.parse(document.getElementById("service").textContent);
const find = (id) => document.getElementById(id);
const form = new Form(service);
const credentials = new Credentials(service);
let running = 0; // the number of the newest request: the answer to an older one is not shown

find("url").value = service.url;

// The URL as it is sent, or null for a text that is none.
function url() {
  try {
    const {protocol, href} = new URL(find("url").value.trim());
    return protocol === "https:" || protocol === "http:" ? href : null;
  } catch {
    return null;
  }
}

function showCurl() {
  find("curl-text").textContent = curl(url() || "https://example.com/", form.body, credentials.words);
}

function tell(text, isBad = false) {
  find("status").textContent = text;
  find("status").className = isBad ? "bad" : "";
}

// The first control with a problem, whose focus makes a screen reader say it.
function firstProblem() {
  const isAddress = url() !== null;
  const advice = isAddress ? "" : "Type the URL of the service, such as https://example.com/.";
  sayProblem(find("url"), find("url-problem"), advice);
  const inCredentials = credentials.check();
  const inForm = form.check();
  return isAddress ? inCredentials || inForm : find("url");
}

async function send() {
  const wrong = firstProblem();
  find("results").replaceChildren();
  find("raw").hidden = true;
  if (wrong) {
    tell("Nothing was sent: something is missing or wrong in the form.", true);
    wrong.focus();
    return;
  }
  const number = ++running;
  const body = form.body;
  find("send").disabled = true;
  tell("Asking the models …");
  try {
    const answer = await call(url(), body, await credentials.headers(url(), body));
    if (number === running) show(answer);
  } catch (error) {
    if (number === running) tell(failure(error), true);
  }
  find("send").disabled = false;
  reveal();
}

// On a phone the answer stands below the form.
function reveal() {
  const {top} = find("answer").getBoundingClientRect();
  if (top < 0 || top > innerHeight / 2) find("answer").scrollIntoView({block: "start"});
}

function failure(error) {
  if (error.name === "TimeoutError") return "The service did not answer within 35 seconds.";
  if (error.name === "TypeError") {
    const origin = location.origin === "null" || location.protocol === "file:" ? "files on this machine" : location.origin;
    return `The service cannot be reached from this page. Either there is none at this URL, or it does not let pages from ${origin} read its answers (cors_origins, cors_headers).`;
  }
  return `The request could not be made: ${error.message}`;
}

function show(answer) {
  const {output, problem, detail} = outcome(service, answer);
  if (problem) {
    tell(problem, true);
    const isNews = detail && !problem.toLowerCase().startsWith(detail.toLowerCase());
    if (isNews) find("results").append(element("p", {class: "problem"}, detail));
  } else {
    tell(summary(output, answer.milliseconds));
    find("results").append(...resultOf(output));
  }
  find("raw").hidden = false;
  find("raw-text").textContent = pretty(answer.text);
}

async function copy() {
  const text = find("curl-text").textContent;
  try {
    await navigator.clipboard.writeText(text);
    find("copied").textContent = "Copied.";
  } catch {
    getSelection().selectAllChildren(find("curl-text"));
    find("copied").textContent = "Selected: copy it with the keyboard.";
  }
}

find("request").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
find("request").addEventListener("reset", (event) => {
  event.preventDefault(); // which would empty the URL and the credentials
  form.reset();
  showCurl();
});
find("request").addEventListener("input", showCurl);
find("request").addEventListener("change", showCurl);
find("copy").addEventListener("click", copy);
showCurl();
