"use strict";
// Text from the node is put in as text, never as markup.

const find = (id) => document.getElementById(id);

function cell(content, kind = "") {
  const made = document.createElement("td");
  if (content instanceof Node) made.append(content);
  else made.textContent = String(content);
  made.className = kind;
  return made;
}

function fill(id, rows, empty) {
  const body = find(id), titles = [...body.parentElement.querySelectorAll("th")].map((title) => title.textContent);
  body.replaceChildren();
  if (rows.length === 0) {
    const nothing = cell(empty, "none");
    nothing.colSpan = titles.length;
    rows = [[nothing]];
  }
  for (const row of rows) {
    const line = document.createElement("tr");
    row.forEach((each, place) => { if (each.className !== "none") each.dataset.title = titles[place]; });
    line.append(...row);
    body.append(line);
  }
}

function digest(text) {
  const made = document.createElement("span");
  made.className = "digest";
  made.textContent = text.slice(0, 16) + "…";
  made.title = text;
  return made;
}

function link(query) {
  if (!query.receipt) return "none";
  const made = document.createElement("a");
  made.href = `receipts/${query.id}.json`;
  made.download = `receipt-${query.id.slice(0, 16)}.json`;
  made.textContent = "Download";
  made.setAttribute("aria-label", `Download the receipt of: ${query.query}`);
  return made;
}

function show(data) {
  find("operator").textContent = data.operator;
  fill("queries", data.queries.map((query) => [
    cell(query.time.replace("T", " ").replace("Z", ""), "number"), cell(query.query, "query"),
    cell(query.querier.replace("zkshare://", "")), cell(query.cohorts.join(", "), "number"), cell(link(query)),
  ]), "No query has been answered yet.");
  fill("datasets", data.datasets.flatMap((dataset) => dataset.roots.length === 0
    ? [[cell(dataset.name), cell(0, "number"), cell(""), cell("no root yet", "none"), cell("")]]
    : dataset.roots.map((root, place) => [
      cell(place === 0 ? dataset.name : ""), cell(root.size, "number"), cell(root.epoch, "number"),
      cell(digest(root.root)), cell(root.time.replace("T", " ").replace("Z", ""), "number"),
    ])), "The ledger holds no dataset yet.");
  fill("heads", data.log.heads.map((head) => [
    cell(head.size, "number"), cell(digest(head.root)), cell(head.time.replace("T", " ").replace("Z", ""), "number"),
  ]), "No head of the log stands on the ledger yet.");
  const waiting = data.log.size - data.log.anchored;
  find("log").textContent = `${data.log.size} entries` + (waiting > 0 ? `, ${waiting} of them not on the ledger yet.` : ", all of them on the ledger.");
  find("status").textContent = `As of ${new Date().toISOString().slice(11, 19)} UTC; renewed every 10 seconds.`;
}

async function renew() {
  try {
    const response = await fetch("overview.json");
    if (!response.ok) throw new Error(`the node answers ${response.status}`);
    show(await response.json());
  } catch (error) {
    find("status").textContent = `The node cannot be read now (${error.message}). This page tries again by itself.`;
  }
}

// What a failed check means, where its own words are for those who know the format.
const MEANING = {
  bad_signature: "It was altered after it was signed, or that party never signed it.",
  not_issued_by_authority: "It is of another network: nobody of this one signed it.",
  not_anchored: "The ledger of this network does not hold what it says.",
  revoked: "Its signer's certificate had been taken back.",
};

function refused(data) {
  const detail = `${data.part}: ${data.why} (${data.check})`;
  if (data.check !== "malformed") return ["This receipt does not hold.", [MEANING[data.check], detail]];
  return ["This file is not a whole receipt of a query.", [
    "It was cut off or changed on its way, or it is something else. Receipts of filings and of scores are checked with "
    + "zkshare receipt verify.", detail]];
}

function verdict(good, title, lines) {
  const place = find("verdict"), strong = document.createElement("strong"), list = document.createElement("ul");
  strong.textContent = title;
  for (const line of lines.filter(Boolean)) {
    const item = document.createElement("li");
    item.textContent = line.trim();
    list.append(item);
  }
  place.className = good ? "good" : "bad";
  place.replaceChildren(strong, list);
  place.hidden = false;
}

async function verify(file) {
  if (!file) return;
  try {
    const response = await fetch("receipts/verify", { method: "POST", body: file });
    if (!response.ok) throw new Error(await response.text());
    const data = await response.json();
    if (data.valid) verdict(true, "This receipt holds.", data.lines.map((line) => line.replace(/^valid: /, "")));
    else verdict(false, ...refused(data));
  } catch (error) {
    verdict(false, "It could not be checked.", [error.message]);
  }
}

const drop = find("drop"), input = find("file");
input.addEventListener("change", () => verify(input.files[0]));
for (const kind of ["dragover", "dragenter"]) {
  drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
}
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  verify(event.dataTransfer.files[0]);
});
renew();
setInterval(renew, 10000);
