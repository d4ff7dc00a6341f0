/** A GLOB pattern as a Postgres regular expression; in both, a dot or `?` matches any character, a line end too. */
export function globToRegex(glob: string): string {
  let regex = "^";
  for (let at = 0; at < glob.length; at++) {
    const sign = glob[at] ?? "";
    const close = sign === "[" ? classEnd(glob, at) : -1;
    if (close > 0) {
      regex += classOf(glob.slice(at + 1, close));
      at = close;
    } else if (sign === "*") regex += ".*";
    else if (sign === "?") regex += ".";
    else regex += sign.replace(/[\\^$.|?*+()[\]{}]/, "\\$&");
  }
  return `${regex}$`;
}

/** `]` closes a class, but not as its first member. */
function classEnd(glob: string, open: number): number {
  const first = glob[open + 1] === "^" ? open + 2 : open + 1;
  return glob.indexOf("]", first + 1);
}

function classOf(members: string): string {
  const negated = members.startsWith("^");
  const inner = (negated ? members.slice(1) : members).replace(/[\\[\]]/g, "\\$&");
  return `[${negated ? "^" : ""}${inner}]`;
}

/** A LIKE pattern for a folded text: SQLite's LIKE folds ASCII letters and has no escape sign. */
export function likePattern(pattern: string): string {
  return pattern.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}
