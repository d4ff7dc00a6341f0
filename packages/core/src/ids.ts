/** An instant as ids begin with it, so that they sort by time. */
export function idAt(instant: Date): string {
  return instant.toISOString().replace(/[-:]/g, "");
}

/** The id of the backup or export to which an object in its folder belongs. */
export function idOwning(object: string): string {
  return object.split("/").at(-2) ?? "";
}

/** Whether what bears an id was begun after an instant; of the same millisecond nothing is told. */
export function isLaterThan(id: string, instant: Date): boolean {
  const at = idAt(instant);
  return id.slice(0, at.length) > at;
}
