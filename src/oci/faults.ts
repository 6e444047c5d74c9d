import { isRecord } from "./isRecord.ts";
/** What is wrong with a document, for the person; undefined when nothing is. Optional parts may be absent or null, as Go reads them. */
export type Fault = string | undefined;

type Check = (value: unknown) => Fault;

const typeForm = /^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}\/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}$/;
const digestForm = /^([a-z0-9]+(?:[+._-][a-z0-9]+)*):([a-zA-Z0-9=_-]+)$/;
const base64Form = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const timeForm = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)$/;
/** Registered algorithms (image-spec, descriptor.md) and how many hexadecimal digits they have. Others are only looked at in form. */
const hexLengths = new Map([
  ["sha256", 64],
  ["sha384", 96],
  ["sha512", 128],
]);

const text: Check = (value) => (typeof value === "string" ? undefined : "is not a text");
const flag: Check = (value) => (typeof value === "boolean" ? undefined : "is not true or false");
const number: Check = (value) => (typeof value === "number" ? undefined : "is not a number");
const mediaType: Check = (value) =>
  typeof value === "string" && typeForm.test(value) ? undefined : `is ${shown(value)}, not a media type`;
const size: Check = (value) =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? undefined : `is ${shown(value)}, not a size`;
const time: Check = (value) =>
  typeof value === "string" && timeForm.test(value) && !Number.isNaN(Date.parse(value))
    ? undefined
    : `is ${shown(value)}, not a time`;
const digest: Check = (value) => {
  const [, algorithm = "", encoded = ""] = (typeof value === "string" && digestForm.exec(value)) || [];
  const length = hexLengths.get(algorithm);
  const sound = encoded !== "" && (length === undefined || (encoded.length === length && /^[0-9a-f]+$/.test(encoded)));
  return sound ? undefined : `is ${shown(value)}, not a digest`;
};
const uri: Check = (value) => (typeof value === "string" && URL.canParse(value) ? undefined : "is not a URL");
const base64: Check = (value) => (typeof value === "string" && base64Form.test(value) ? undefined : "is not base64");
const literal =
  (...values: unknown[]): Check =>
  (value) =>
    values.includes(value) ? undefined : `is ${shown(value)}; only ${values.map(shown).join(", ")} is known`;

const platform = record({
  required: { architecture: text, os: text },
  optional: { "os.version": text, "os.features": listOf(text), variant: text },
});

const descriptorParts = {
  required: { mediaType, digest, size },
  optional: { urls: listOf(uri), data: base64, artifactType: mediaType, annotations: mapOf(text), platform },
};

/** image-spec, descriptor.md */
export const descriptorFault = record(descriptorParts);

/** image-spec, image-index.md */
export const indexFault = record({
  required: { schemaVersion: literal(2), manifests: listOf(descriptorFault) },
  optional: { mediaType, artifactType: mediaType, subject: descriptorFault, annotations: mapOf(text) },
});

/** image-spec, manifest.md, but a manifest may have no layer: that is what an image FROM scratch without files has. */
export const manifestFault = record({
  required: { schemaVersion: literal(2), config: descriptorFault },
  optional: {
    layers: listOf(descriptorFault),
    mediaType,
    artifactType: mediaType,
    subject: descriptorFault,
    annotations: mapOf(text),
  },
});

/** image-spec, config.md, with Docker's additions. An entry of Env may lack its `=`: it is read as empty then. */
export const configFault = record({
  required: {
    architecture: text,
    os: text,
    rootfs: record({ required: { type: literal("layers"), diff_ids: listOf(digest) }, optional: {} }),
  },
  optional: {
    created: time,
    author: text,
    variant: text,
    "os.version": text,
    "os.features": listOf(text),
    config: record({
      required: {},
      optional: {
        User: text,
        ExposedPorts: mapOf(record({ required: {}, optional: {} })),
        Env: listOf(text),
        Entrypoint: listOf(text),
        Cmd: listOf(text),
        Volumes: mapOf(record({ required: {}, optional: {} })),
        WorkingDir: text,
        Labels: mapOf(text),
        StopSignal: text,
        ArgsEscaped: flag,
        Hostname: text,
        Domainname: text,
        Healthcheck: record({
          required: {},
          optional: {
            Test: listOf(text),
            Interval: number,
            Timeout: number,
            StartPeriod: number,
            StartInterval: number,
            Retries: number,
          },
        }),
        StopTimeout: number,
        OnBuild: listOf(text),
        Shell: listOf(text),
      },
    }),
    history: listOf(
      record({
        required: {},
        optional: { created: time, author: text, created_by: text, comment: text, empty_layer: flag },
      }),
    ),
  },
});

/** image-spec, image-layout.md "oci-layout" */
export const layoutFault = record({ required: { imageLayoutVersion: literal("1.0.0") }, optional: {} });

function record(parts: { required: Record<string, Check>; optional: Record<string, Check> }): Check {
  return (value) => {
    if (!isRecord(value)) return "is not an object";
    for (const [key, check] of [...Object.entries(parts.required), ...Object.entries(parts.optional)]) {
      const part = value[key] ?? undefined;
      if (part === undefined && !Object.hasOwn(parts.required, key)) continue;
      const fault = part === undefined ? "is missing" : check(part);
      if (fault !== undefined) return within(`.${key}`, fault);
    }
    return undefined;
  };
}

function listOf(check: Check): Check {
  return (value) => {
    if (!Array.isArray(value)) return "is not a list";
    for (const [i, each] of value.entries()) {
      const fault = check(each);
      if (fault !== undefined) return within(`[${i}]`, fault);
    }
    return undefined;
  };
}

function mapOf(check: Check): Check {
  return (value) => {
    if (!isRecord(value)) return "is not an object";
    for (const [key, each] of Object.entries(value)) {
      const fault = check(each ?? undefined);
      if (fault !== undefined) return within(`[${shown(key)}]`, fault);
    }
    return undefined;
  };
}

/** `.layers` before `[0] is …` is one place: `.layers[0] is …`. */
function within(place: string, fault: string): string {
  return /^[.[]/.test(fault) ? place + fault : `${place} ${fault}`;
}

function shown(value: unknown): string {
  const written = JSON.stringify(value) ?? String(value);
  return written.length > 100 ? `${written.slice(0, 100)}…` : written;
}
