import { SlipwayError } from "../../oci/SlipwayError.ts";

const form = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/; // Docker's rule

const QUALITIES =
  "able amber bold brave brisk bright calm candid careful cheerful clear clever crisp curious deft eager earnest fair fearless fond frank gentle glad golden graceful handy hardy hopeful humble jolly keen kind lively lucid merry mellow mindful nimble patient placid plucky polite prompt proud quick quiet ready sage serene sharp silent sincere sleek smart snug sober spry steady stout sunny swift tidy tough trusty upbeat valiant vivid warm wise witty zesty".split(
    " ",
  );

/** Shipbuilders, navigators, and people who made things that carry: slipways are where ships begin. */
const SURNAMES =
  "amundsen anson barents beaufort bering bligh bowditch brunel cabot chichester cook cousteau cutty davis drake earhart elcano ericson flinders franklin frobisher fulton gama gilbert halley harrison heyerdahl hudson joshua knoxjohnston laperouse lovelace mackellar magellan maury mccurdy mclean mercator moitessier nansen noonan pytheas quiros raleigh ross russell scoresby shackleton slocum smeaton tasman torres tupaia vancouver vespucci wilkes worsley yi zheng".split(
    " ",
  );

/** @throws SlipwayError `INVALID_NAME` */
export function checkContainerName(name: string): void {
  if (form.test(name)) return;
  throw new SlipwayError("INVALID_NAME", `invalid container name ${JSON.stringify(name)}`, {
    hint: "A name has at least two of the characters [a-zA-Z0-9_.-] and begins with a letter or digit.",
    exitCode: 125,
  });
}

/** `quality_surname`, with a digit when many have been tried. */
export function generateContainerName(isTaken: (name: string) => boolean): string {
  for (let tries = 0; ; tries++) {
    const name = `${pick(QUALITIES)}_${pick(SURNAMES)}${tries < 8 ? "" : Math.floor(Math.random() * 10 ** (tries - 7))}`;
    if (!isTaken(name)) return name;
  }
}

function pick(words: string[]): string {
  return words[Math.floor(Math.random() * words.length)] as string;
}
