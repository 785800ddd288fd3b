// The call: credentials, which stay in this page's memory, the request itself, and its curl line.

const TIMEOUT_MS = 35_000; // API Gateway gives up after 30 s at the latest

const FIELDS = {
  none: [],
  key: [["key", "API key", "password"]],
  jwt: [["token", "Token", "password"]],
  iam: [
    ["access", "Access key id", "text"],
    ["secret", "Secret access key", "password"],
    ["session", "Session token, if there is one", "password"],
    ["region", "Region", "text"],
  ],
};

class Credentials {
  constructor(service) {
    this.service = service;
    this.controls = {};
    this.problems = {};
    const box = document.getElementById("credentials");
    for (const [name, label, type] of FIELDS[service.auth]) {
      const control = element("input", {id: `credential-${name}`, type, autocomplete: "off", spellcheck: "false"});
      control.value = name === "region" ? service.region || "" : "";
      const problem = element("p", {class: "problem", id: `${control.id}-problem`, hidden: true});
      control.setAttribute("aria-describedby", problem.id);
      if (name !== "session") control.required = true;
      this.controls[name] = control;
      this.problems[name] = problem;
      box.append(element("div", {class: "field"}, element("label", {for: control.id}, label), control, problem));
    }
    if (service.auth !== "none") {
      box.append(element("p", {class: "hint"}, "Kept in this page's memory only, until it is closed."));
    }
  }

  value(name) {
    return this.controls[name].value.trim();
  }

  // The first control that must be filled in and is not; all of them are marked.
  check() {
    const wrong = Object.entries(this.controls).filter(([name, control]) => {
      const isMissing = control.required && !this.value(name);
      sayProblem(control, this.problems[name], isMissing ? "The service asks for this." : "");
      return isMissing;
    });
    return wrong.length ? wrong[0][1] : null;
  }

  async headers(url, body) {
    if (this.service.auth === "key") return {"x-api-key": this.value("key")};
    if (this.service.auth === "jwt") return {authorization: `Bearer ${this.value("token")}`};
    if (this.service.auth === "iam") return sign(url, body, this.controls, new Date());
    return {};
  }

  // Words of curl; secrets stand in the environment.
  get words() {
    if (this.service.auth === "key") return ['-H "x-api-key: $DEPLOYER_API_KEY"'];
    if (this.service.auth === "jwt") return ['-H "authorization: Bearer $DEPLOYER_TOKEN"'];
    if (this.service.auth !== "iam") return [];
    return [
      `--aws-sigv4 ${quoted(`aws:amz:${this.value("region")}:execute-api`)}`,
      '--user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"',
      ...(this.value("session") ? ['-H "x-amz-security-token: $AWS_SESSION_TOKEN"'] : []), // curl signs an empty one
    ];
  }
}

function curl(url, body, words) {
  const lines = [`curl -s ${quoted(url)}`, "-H 'content-type: application/json'", ...words, `-d ${quoted(body)}`];
  return lines.join(" \\\n  ");
}

// A word for a POSIX shell.
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

async function call(url, body, headers) {
  const started = performance.now();
  const response = await fetch(url, {
    method: "POST",
    headers: {"content-type": "application/json", ...headers},
    body,
    cache: "no-store",
    credentials: "omit",
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const text = await response.text();
  return {status: response.status, text, milliseconds: performance.now() - started};
}

// AWS Signature Version 4

async function sign(url, body, controls, now) {
  const value = (name) => controls[name].value.trim();
  const {host, pathname} = new URL(url);
  const stamp = now.toISOString().replace(/[-:]|\.\d{3}/g, "");
  const scope = [stamp.slice(0, 8), value("region"), "execute-api", "aws4_request"];
  const signed = {"content-type": "application/json", host, "x-amz-date": stamp};
  if (value("session")) signed["x-amz-security-token"] = value("session");
  const names = Object.keys(signed).sort();
  const path = pathname.split("/").map(encoded).join("/"); // a second time
  const canonical = ["POST", path, "", ...names.map((name) => `${name}:${signed[name]}`), "", names.join(";"), await digest(body)];
  const text = ["AWS4-HMAC-SHA256", stamp, scope.join("/"), await digest(canonical.join("\n"))].join("\n");
  let key = new TextEncoder().encode(`AWS4${value("secret")}`);
  for (const part of scope) key = await hmac(key, part);
  const signature = hex(await hmac(key, text));
  const credential = `${value("access")}/${scope.join("/")}`;
  const {host: _, "content-type": __, ...sent} = signed;
  return {...sent, authorization: `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${names.join(";")}, Signature=${signature}`};
}

// As AWS encodes: everything but letters, digits and -_.~
function encoded(text) {
  return encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
}

async function digest(text) {
  return hex(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}

async function hmac(key, text) {
  const algorithm = {name: "HMAC", hash: "SHA-256"};
  const imported = await crypto.subtle.importKey("raw", key, algorithm, false, ["sign"]);
  return crypto.subtle.sign("HMAC", imported, new TextEncoder().encode(text));
}

function hex(buffer) {
  return [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
