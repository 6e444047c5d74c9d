export interface Rule {
  description: string;
  /** "" where the rule has no page. */
  url: string;
  /** What is found, `{name}` for each of its parts. */
  detail: string;
  /** Added to `detail` when there is something to suggest. */
  suggestion?: string;
  /** Off until it is asked for. */
  experimental?: boolean;
}

const page = (name: string): string => `https://docs.docker.com/go/dockerfile/rule/${name}/`;

/** The rules of `docker build --check`, by the names that `# check=skip=` takes. */
export const rules = {
  StageNameCasing: {
    description: "Stage names should be lowercase",
    url: page("stage-name-casing"),
    detail: "Stage name '{stage}' should be lowercase",
  },
  FromAsCasing: {
    description: "The 'as' keyword should match the case of the 'from' keyword",
    url: page("from-as-casing"),
    detail: "'{as}' and '{from}' keywords' casing do not match",
  },
  NoEmptyContinuation: {
    description: "Empty continuation lines will become errors in a future release",
    url: page("no-empty-continuation"),
    detail: "Empty continuation line",
  },
  ConsistentInstructionCasing: {
    description: "All commands within the Dockerfile should use the same casing (either upper or lower)",
    url: page("consistent-instruction-casing"),
    detail: "Command '{instruction}' should match the case of the command majority ({casing})",
  },
  DuplicateStageName: {
    description: "Stage names should be unique",
    url: page("duplicate-stage-name"),
    detail: 'Duplicate stage name "{stage}", stage names should be unique',
  },
  ReservedStageName: {
    description: "Reserved words should not be used as stage names",
    url: page("reserved-stage-name"),
    detail: 'Stage name should not use the same name as reserved stage "{stage}"',
  },
  JSONArgsRecommended: {
    description: "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
    url: page("json-args-recommended"),
    detail: "JSON arguments recommended for {instruction} to prevent unintended behavior related to OS signals",
  },
  MaintainerDeprecated: {
    description: "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
    url: page("maintainer-deprecated"),
    detail: "Maintainer instruction is deprecated in favor of using label",
  },
  UndefinedArgInFrom: {
    description: "FROM command must use declared ARGs",
    url: page("undefined-arg-in-from"),
    detail: "FROM argument '{arg}' is not declared",
    suggestion: " (did you mean {suggestion}?)",
  },
  WorkdirRelativePath: {
    description:
      "Relative workdir without an absolute workdir declared within the build can have unexpected results if the base image changes",
    url: page("workdir-relative-path"),
    detail: 'Relative workdir "{workdir}" can have unexpected results if the base image changes',
  },
  UndefinedVar: {
    description: "Variables should be defined before their use",
    url: page("undefined-var"),
    detail: "Usage of undefined variable '${var}'",
    suggestion: " (did you mean ${suggestion}?)",
  },
  MultipleInstructionsDisallowed: {
    description: "Multiple instructions of the same type should not be used in the same stage",
    url: page("multiple-instructions-disallowed"),
    detail:
      "Multiple {instruction} instructions should not be used in the same stage because only the last one will be used",
  },
  LegacyKeyValueFormat: {
    description: "Legacy key/value format with whitespace separator should not be used",
    url: page("legacy-key-value-format"),
    detail: '"{instruction} key=value" should be used instead of legacy "{instruction} key value" format',
  },
  InvalidBaseImagePlatform: {
    description: "Base image platform does not match expected target platform",
    url: "",
    detail:
      'Base image {image} was pulled with platform "{imagePlatform}", expected "{wantedPlatform}" for current build',
  },
  RedundantTargetPlatform: {
    description: "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
    url: page("redundant-target-platform"),
    detail: "Setting platform to predefined {platform} in FROM is redundant as this is the default behavior",
  },
  SecretsUsedInArgOrEnv: {
    description: "Sensitive data should not be used in the ARG or ENV commands",
    url: page("secrets-used-in-arg-or-env"),
    detail: 'Do not use ARG or ENV instructions for sensitive data ({instruction} "{key}")',
  },
  InvalidDefaultArgInFrom: {
    description: "Default value for global ARG results in an empty or invalid base image name",
    url: page("invalid-default-arg-in-from"),
    detail: "Default value for ARG {base} results in empty or invalid base image name",
  },
  FromPlatformFlagConstDisallowed: {
    description: "FROM --platform flag should not use a constant value",
    url: page("from-platform-flag-const-disallowed"),
    detail: 'FROM --platform flag should not use constant value "{platform}"',
  },
  CopyIgnoredFile: {
    description: "Attempting to Copy file that is excluded by .dockerignore",
    url: page("copy-ignored-file"),
    detail: 'Attempting to {command} file "{file}" that is excluded by .dockerignore',
  },
  InvalidDefinitionDescription: {
    description:
      "Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is not intended to be a description comment, add an empty line or comment between the instruction and the comment.",
    url: page("invalid-definition-description"),
    detail: "Comment for {instruction} should follow the format: `# {name} <description>`",
    experimental: true,
  },
  ExposeProtoCasing: {
    description: "Protocol in EXPOSE instruction should be lowercase",
    url: page("expose-proto-casing"),
    detail: "Defined protocol '{port}' in EXPOSE instruction should be lowercase",
  },
  ExposeInvalidFormat: {
    description:
      "IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future release",
    url: page("expose-invalid-format"),
    detail: "EXPOSE instruction should not define an IP address or host-port mapping, found '{port}'",
  },
} as const satisfies Record<string, Rule>;

export type RuleName = keyof typeof rules;
