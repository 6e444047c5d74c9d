/** The description of a stage or argument: the first comment above its instruction that begins with its name. */
export function docComment(comments: readonly string[], name: string): string | undefined {
  if (name === "") return undefined;
  return comments.find((comment) => comment.startsWith(`${name} `))?.slice(name.length + 1);
}
