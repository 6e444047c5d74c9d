/** A number from 1 on, or a name with or without `SIG`, real-time signals (`RTMIN+3`, `SIGRTMAX-1`) included. */
export function isSignal(text: string): boolean {
  if (/^\d+$/.test(text)) return Number(text) > 0;
  const { constants } = require("node:os") as typeof import("node:os"); // seldom: a STOPSIGNAL by name
  const name = text.toUpperCase().replace(/^SIG/, "");
  return `SIG${name}` in constants.signals || name === "CLD" || realTime.test(name);
}

const realTime = /^RTM(?:IN(?:\+(?:[1-9]|1[0-5]))?|AX(?:-(?:[1-9]|1[0-4]))?)$/;
