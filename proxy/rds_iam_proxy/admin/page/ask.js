// The one dialog: it asks for the admin token, and whether to end a session.

import { say } from "./words.js";

const TOKEN = "rds-iam-proxy-admin-token";
const $ = (id) => document.getElementById(id);

/** The headers that show the token, if it is known. */
export function authorization() {
  const token = sessionStorage.getItem(TOKEN);
  return token ? { Authorization: `Bearer ${token}` } : {};
}

export function forgetToken() {
  sessionStorage.removeItem(TOKEN);
}

/** Whether the answer was yes; `action`, if any, may say what is wrong, and then it is asked again. */
export function ask({ title, text, button, action }) {
  const dialog = $("ask");
  const needsToken = () => !sessionStorage.getItem(TOKEN);
  say($("ask-title"), title);
  say($("ask-text"), text);
  say($("ask-ok"), button);
  $("ask-ok").classList.toggle("danger", Boolean(action));
  $("ask-fault").hidden = true;
  $("token").value = "";
  $("ask-token").hidden = !needsToken();
  dialog.returnValue = "";
  dialog.showModal();
  (needsToken() ? $("token") : $("ask-cancel")).focus();
  return new Promise((resolve) => {
    const form = dialog.querySelector("form");
    async function submit(event) {
      event.preventDefault();
      const token = $("token").value.trim();
      if (needsToken() && token) sessionStorage.setItem(TOKEN, token);
      const fault = needsToken() ? "The token is empty." : action ? await action() : "";
      if (!fault) {
        dialog.close("ok");
        return;
      }
      say($("ask-fault"), fault);
      $("ask-fault").hidden = false;
      $("ask-token").hidden = !needsToken();
      if (needsToken()) $("token").select();
    }
    form.addEventListener("submit", submit);
    dialog.addEventListener(
      "close",
      () => {
        form.removeEventListener("submit", submit);
        resolve(dialog.returnValue === "ok");
      },
      { once: true },
    );
  });
}

async function end(session) {
  try {
    const answer = await fetch(`sessions/${session.id}/end`, { method: "POST", headers: authorization() });
    if (answer.ok || answer.status === 404) return "";
    if (answer.status === 401) {
      forgetToken();
      return "That is not the token of this proxy.";
    }
    return (await answer.json()).error;
  } catch {
    return "The proxy does not answer.";
  }
}

$("ask-cancel").addEventListener("click", () => $("ask").close());

const WHAT_ENDS = {
  running: "It runs a command, which is cut off; an open transaction is rolled back.",
  idle: "It is idle, and learns of it at its next command; an open transaction is rolled back.",
  "in transaction": "Its transaction is open and is rolled back; it learns of it at its next command.",
};

export function askToEnd(session) {
  const who = `${session.account} from ${session.peer}${session.program ? ` (${session.program})` : ""}`;
  const what = WHAT_ENDS[session.activity] ?? WHAT_ENDS.idle;
  ask({ title: "End this session?", text: `${who}. ${what}`, button: "End session", action: () => end(session) });
}
