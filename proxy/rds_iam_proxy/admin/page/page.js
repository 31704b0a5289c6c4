// The status page. Everything that comes from the proxy is put into the page as text, never as markup.

import { ask, askToEnd, authorization, forgetToken } from "./ask.js";
import { chart, most, points } from "./charts.js";
import { ago, bytes, clock, duration, last, make, number, say } from "./words.js";

const INTERVAL = 1000; // milliseconds
const FEW_ERRORS = 4; // shown before somebody wants to see all
const FEW_SESSIONS = 20;

const $ = (id) => document.getElementById(id);
let offset = 0; // the proxy's clock less ours, in seconds

// --- lists whose elements stay while they are true, so that focus and selection stay as well ---

function keyed(parent, items, keyOf, create) {
  const known = parent.known ?? (parent.known = new Map());
  const gone = new Set(known.keys());
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    gone.delete(key);
    let entry = known.get(key);
    if (!entry) {
      entry = create(item);
      known.set(key, entry);
    }
    entry.update(item);
    if (entry.node === place) place = place.nextElementSibling;
    else parent.insertBefore(entry.node, place);
  }
  for (const key of gone) {
    known.get(key).node.remove();
    known.delete(key);
  }
}

// --- targets ---

function fact(list, name) {
  const value = make("dd");
  list.append(make("div", "", make("dt", "", name), value));
  return value;
}

function labelledChart(name, lineClass, areaClass, combine) {
  const drawn = chart(lineClass, areaClass, combine);
  const scale = make("span");
  const label = make("span", "", name);
  return { node: make("div", "chart", make("p", "", label, scale), drawn.svg), draw: drawn.draw, label, scale };
}

function createTarget() {
  const name = make("h3");
  const health = make("p", "badge");
  const endpoint = make("p", "endpoint mono");
  const why = make("p", "why");
  const facts = make("dl", "facts");
  const sessions = fact(facts, "Sessions");
  const rate = fact(facts, "Logins a second");
  const waiting = fact(facts, "Waiting");
  const logins = labelledChart("Logins per second", "stroke", "area");
  const queue = labelledChart("Waiting for a permit", "queue-stroke", "queue-area", most);
  const more = make("p", "more");
  const node = make("article", "panel target", make("header", "", name, health), endpoint, why, facts, logins.node, queue.node, more);

  function update(target) {
    node.dataset.target = target.name;
    say(name, target.name);
    health.dataset.state = target.health;
    say(health, target.health);
    const dial = target.dial ? `, dialled as ${target.dial}`
      : target.tunnel ? `, tunnel ${target.tunnel.way} ${target.tunnel.state}` : "";
    say(endpoint, target.endpoint + dial);
    endpoint.title = `${target.endpoint}${dial} (${target.region})`;
    say(why, target.why);
    why.hidden = !target.why;
    why.classList.toggle("mild", target.health === "ready" || target.health === "starting");
    amount(sessions, number(target.sessions), ` of ${number(target.max_sessions)}`);
    amount(rate, number(last(points(target.history.accepted, target.points_taken))), ` of ${number(target.rate)}`);
    amount(waiting, number(target.waiting), "");
    const past = target.history;
    const refused = past.refused.reduce((sum, value) => sum + value, 0);
    const accepted = past.accepted.reduce((sum, value) => sum + value, 0);
    const summary = `${accepted} accepted, ${refused} refused`;
    const top = logins.draw(past.accepted, past.refused, target.points_taken, `Logins of the last 5 minutes: ${summary}`);
    logins.label.replaceChildren("5 minutes: ", `${number(accepted)} let in`);
    if (refused) logins.label.append(" · ", make("i", "key"), `${number(refused)} refused`);
    say(logins.scale, `${number(top)}/s`);
    const longest = Math.max(0, ...past.waiting);
    queue.node.hidden = !longest;
    const ceiling = queue.draw(past.waiting, null, target.points_taken, `Waiting for a permit in the last 5 minutes: at most ${longest}`);
    say(queue.label, `Queue: ${number(longest)} at most`);
    say(queue.scale, number(ceiling));
    say(more, details(target));
  }
  return { node, update };
}

function amount(node, value, rest) {
  node.replaceChildren(value, make("small", "", rest));
}

function product(target) {
  if (target.engine === "postgres") return "PostgreSQL";
  return target.server_version.includes("MariaDB") ? "Version" : "MySQL";
}

function details(target) {
  const now = Date.now() / 1000 + offset;
  const parts = [];
  if (target.server_version) parts.push(`${product(target)} ${target.server_version}`);
  parts.push(target.last_login ? `last login at RDS ${ago(target.last_login, now)}` : "no login at RDS yet");
  const ages = Object.values(target.token_ages);
  if (ages.length) parts.push(`oldest token ${duration(Math.max(...ages))}`);
  if (target.certificate_expires) parts.push(`certificate for ${duration(target.certificate_expires - now)}`);
  if (target.rate < target.rate_limit) parts.push(`RDS throttles: ${target.rate} instead of ${target.rate_limit} logins/s`);
  if (target.lent || target.parked) parts.push(`${number(target.lent)} logins served by used sessions, ${target.parked} wait`);
  parts.push(`${bytes(target.bytes_from_client)} sent, ${bytes(target.bytes_from_rds)} received`);
  return parts.join(" · ");
}

// --- sessions ---

function createSession(session) {
  const cell = (label, className) => {
    const made = make("td", className);
    if (label) made.dataset.label = label;
    return made;
  };
  const two = (node) => {
    const first = make("span");
    const second = make("span", "second");
    node.append(first, second);
    return [first, second];
  };
  const cells = [cell(), cell(), cell(), cell("Id"), cell(), cell("Age", "number"), cell("Sent", "number"), cell("Received", "number"), cell()];
  const [account, dbUser] = two(cells[0]);
  const [program, peer] = two(cells[1]);
  const doing = make("span", "doing");
  const [id, idAtRds] = two(cells[3]);
  cells[4].append(doing);
  const end = make("button", "", "End");
  end.type = "button";
  cells[8].append(end);
  const node = make("tr", "", ...cells);
  node.dataset.id = session.id;
  let latest = session;
  end.addEventListener("click", () => askToEnd(latest));

  function update(now) {
    latest = now;
    const rests = now.activity === "idle" || now.activity === "in transaction";
    say(account, now.account ?? "not logged in yet");
    say(dbUser, now.db_user && now.db_user !== now.account ? `as ${now.db_user}` : "");
    say(program, now.program || "unnamed program");
    const from = now.port ? `${now.peer}:${now.port}` : now.peer;
    say(peer, now.tls ? `${from} · TLS` : from);
    say(cells[2], now.target);
    say(id, String(now.id));
    say(idAtRds, now.rds_connection_id ? `RDS ${now.rds_connection_id}` : "");
    doing.dataset.activity = now.activity;
    say(doing, rests ? `${now.activity} ${duration(now.quiet)}` : now.activity);
    say(cells[5], duration(now.age));
    const here = Date.now() / 1000 + offset;
    cells[5].title = `since ${clock(here - now.age, here)}`;
    say(cells[6], bytes(now.bytes_from_client));
    say(cells[7], bytes(now.bytes_from_rds));
    end.disabled = !rests && now.activity !== "running";
    end.setAttribute("aria-label", `End the session of ${now.account ?? "nobody"} from ${now.peer}`);
  }
  return { node, update };
}

// --- errors ---

function createError() {
  const when = make("p", "when");
  const who = make("p", "who");
  const text = make("p", "text");
  const detail = make("p", "detail");
  const explanation = make("p", "explanation");
  const node = make("li", "", when, who, text, detail, explanation);

  function update(error) {
    const now = Date.now() / 1000 + offset;
    when.replaceChildren(clock(error.last, now), make("span", "second", ago(error.last, now)));
    if (error.count > 1) when.append(" ", make("span", "times", `${number(error.count)} times`));
    when.title = `first ${clock(error.first, now)}`;
    who.replaceChildren(make("span", "code", `${error.code} ${error.reason}`), " ");
    who.append(make("b", "", error.user || "nobody yet"), ` from ${error.peer} to ${error.target}`);
    say(text, error.text);
    say(detail, error.detail ? `RDS: ${error.detail}` : "");
    detail.hidden = !error.detail;
    if (!explanation.textContent) explain(explanation, error);
    explanation.hidden = !error.cause || error.explainedAbove;
  }
  return { node, update };
}

/** The table of symptoms is written in Markdown: `code`, **strong** and *stressed* words. */
function explain(node, error) {
  const tags = ["", "code", "strong", "em"];
  const parts = `${error.cause} ${error.remedy}`.split(/`([^`]+)`|\*\*([^*]+)\*\*|\*([^*]+)\*/);
  for (const [i, part] of parts.entries()) if (part) node.append(i % 4 ? make(tags[i % 4], "", part) : part);
}

const errorKey = (error) => JSON.stringify([error.target, error.user, error.peer, error.code, error.reason, error.first]);

// --- the whole ---

/** A button under a list that shows all of it, once and for all. Returns how many are shown. */
function shortened(paragraph, few, all, what) {
  const button = paragraph.querySelector("button");
  button.onclick ??= () => {
    paragraph.dataset.all = "yes";
    refresh();
  };
  const shown = paragraph.dataset.all ? all : Math.min(few, all);
  say(button, `Show ${number(all - shown)} more ${what}${all - shown === 1 ? "" : "s"}`);
  button.hidden = shown === all;
  paragraph.hidden = shown === all;
  return shown;
}

function showSessions(status) {
  const found = status.sessions_found;
  const few = shortened($("more-sessions"), FEW_SESSIONS, status.sessions.length, "session");
  const shown = status.sessions.slice(0, few);
  keyed($("sessions"), shown, (session) => session.id, createSession);
  const wanted = $("find").value.trim();
  say($("sessions-count"), wanted ? `${number(found)} of ${number(status.sessions_total)}` : number(status.sessions_total || 0));
  const unsent = found - status.sessions.length;
  say($("more-sessions").querySelector("span"), unsent ? `${number(unsent)} more are found: look for one by a part of its name or its number.` : "");
  if (unsent) $("more-sessions").hidden = false;
  say($("no-sessions"), wanted ? "No session like that." : "Nobody is connected.");
  $("no-sessions").hidden = shown.length > 0;
  $("choice").hidden = status.sessions_total < 2 && !wanted;
  document.querySelector(".sessions").hidden = shown.length === 0;
}

function showErrors(status) {
  const explained = new Set();
  for (const error of status.errors) {
    error.explainedAbove = explained.has(error.cause);
    explained.add(error.cause);
  }
  const few = shortened($("more-errors"), FEW_ERRORS, status.errors.length, "error");
  keyed($("errors"), status.errors.slice(0, few), errorKey, createError);
  say($("errors-count"), status.errors.length ? String(status.errors.length) : "");
  $("errors").parentElement.hidden = status.errors.length === 0;
  $("no-errors").hidden = status.errors.length > 0;
}

/** The proxy puts the worst first. */
function showTargets(status) {
  keyed($("targets"), status.targets, (target) => target.name, createTarget);
  const down = status.targets.filter((target) => target.health === "down" || target.health === "refused").length;
  const few = down ? `${down} of ${status.targets.length} down` : "";
  say($("targets-down"), few);
  document.title = status.state === "ready" ? "rds-iam-proxy" : `${few || status.state} · rds-iam-proxy`;
}

function show(status) {
  offset = status.now - Date.now() / 1000;
  say($("version"), status.version);
  $("state").dataset.state = status.state;
  say($("state"), status.state);
  say($("uptime"), `up ${duration(status.now - status.started)}`);
  showTargets(status);
  showErrors(status);
  showSessions(status);
  say($("budgets"), status.budgets.map(budgetText).join("\n"));
  $("budgets").hidden = status.budgets.length === 0;
  $("budgets").classList.toggle("warns", status.budgets.some((budget) => budget.store && !budget.store_up));
  showReload(status);
  const doors = status.listeners.map((door) => `${door.address} → ${door.target} (TLS ${door.tls})`);
  say($("listeners"), `Listening on ${doors.join(", ")}`);
}

/** A login budget that several proxies share. */
function budgetText(budget) {
  const rate = `${number(budget.rate)} of ${number(budget.rate_limit)} logins/s`;
  if (!budget.store) return `Budget ${budget.name}: this proxy has ${rate}, one of ${number(budget.size)} in the fleet.`;
  const fault = budget.store_fault.replace(/\.$/, "");
  if (budget.source === "store") {
    const state = budget.store_up ? "" : `, which does not answer: ${fault}`;
    return `Budget ${budget.name}: the fleet has ${rate}, ${number(budget.members)} of ${number(budget.size)} proxies are heard by ${budget.store}${state}.`;
  }
  return `Budget ${budget.name}: this proxy keeps to its share, ${rate}, because ${budget.store} is silent: ${fault}.`;
}

/** A reload that was refused, as long as it was the last. */
function showReload(status) {
  const faults = status.reload?.faults ?? [];
  $("reload").hidden = faults.length === 0;
  if (!faults.length) return;
  const more = faults.length > 1 ? ` (and ${number(faults.length - 1)} more, in the log)` : "";
  say($("reload"), `The last reload, ${ago(status.reload.at, status.now)}, was refused; all stayed as it was: ${faults[0]}${more}`);
}

function lost(why) {
  $("lost").hidden = !why;
  $("content").classList.toggle("stale", Boolean(why));
  if (why) say($("lost"), why);
}

let lastAnswer = null;
let timer = 0;

/** Asks, shows, and comes again; asked for in between, that is the next time. */
async function refresh() {
  clearTimeout(timer);
  try {
    const choice = new URLSearchParams({ find: $("find").value, order: $("order").value });
    const answer = await fetch(`status?${choice}`, { headers: authorization(), cache: "no-store", signal: AbortSignal.timeout(5000) });
    if (answer.status === 401) {
      forgetToken();
      if (await ask({ title: "Admin token", text: "This proxy shows its status only with its token.", button: "Go on" })) return refresh();
      lost("The token is needed. Load the page again to give it.");
      return;
    }
    if (!answer.ok) throw new Error((await answer.json()).error);
    show(await answer.json());
    lastAnswer = new Date();
    lost("");
  } catch (error) {
    const since = lastAnswer ? `since ${lastAnswer.toLocaleTimeString()}` : "yet";
    lost(`No answer from the proxy ${since}; trying again. (${error.message})`);
    $("state").dataset.state = "down";
    say($("state"), "no answer");
  }
  clearTimeout(timer);
  timer = setTimeout(tick, INTERVAL);
}

function tick() {
  if (document.hidden) document.addEventListener("visibilitychange", refresh, { once: true });
  else refresh();
}

$("choice").addEventListener("input", refresh);
$("choice").addEventListener("submit", (event) => event.preventDefault());

refresh();
