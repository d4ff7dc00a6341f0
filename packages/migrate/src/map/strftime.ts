const FIELDS: Readonly<Record<string, string>> = {
  Y: "YYYY",
  m: "MM",
  d: "DD",
  H: "HH24",
  M: "MI",
  S: "SS",
  f: "SS.MS",
  j: "DDD",
  F: "YYYY-MM-DD",
  T: "HH24:MI:SS",
  R: "HH24:MI",
};

/** The to_char() template that prints what strftime() prints; null where a field has no equal. */
export function strftimeToChar(format: string): string | null {
  let template = "";
  for (let at = 0; at < format.length; at++) {
    const sign = format[at] ?? "";
    if (sign !== "%") {
      // Letters would be read as fields; quoted, anything stands for itself.
      template += /[-:. /]/.test(sign) ? sign : `"${sign.replace(/["\\]/g, "\\$&")}"`;
      continue;
    }
    const field = FIELDS[format[++at] ?? ""];
    if (field === undefined) return null;
    template += field;
  }
  return template;
}
