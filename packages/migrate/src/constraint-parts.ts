import type { PlannedConstraint } from "./plan.ts";

/** What a planned foreign key names, all in Postgres. */
export interface ForeignKeyParts {
  readonly columns: readonly string[];
  readonly schema: string;
  readonly parent: string;
  readonly parentColumns: readonly string[];
  readonly onUpdate: string;
  readonly onDelete: string;
  readonly isDeferred: boolean;
}

const NAME = `"(?:[^"]|"")*"`;
const LIST = `\\((${NAME}(?:, ${NAME})*)\\)`;
const ACTION = "(NO ACTION|RESTRICT|CASCADE|SET NULL|SET DEFAULT)";
const FOREIGN_KEY = new RegExp(
  `^FOREIGN KEY ${LIST} REFERENCES (${NAME})\\.(${NAME}) ${LIST} ON UPDATE ${ACTION} ON DELETE ${ACTION}( DEFERRABLE INITIALLY DEFERRED)?$`,
);
const KEY = new RegExp(`^(?:PRIMARY KEY|UNIQUE) ${LIST}$`);

/** Reads a foreign key of a plan back into its parts. */
export function foreignKeyParts({ name, definition }: PlannedConstraint): ForeignKeyParts {
  const [, columns, schema, parent, parentColumns, onUpdate, onDelete, deferred] =
    FOREIGN_KEY.exec(definition) ?? [];
  if (onUpdate === undefined || onDelete === undefined)
    throw new Error(`foreign key ${name} of the plan is of another form: ${definition}`);
  return {
    columns: namesIn(columns),
    schema: namesIn(schema)[0] ?? "",
    parent: namesIn(parent)[0] ?? "",
    parentColumns: namesIn(parentColumns),
    onUpdate,
    onDelete,
    isDeferred: deferred !== undefined,
  };
}

/** The columns of a planned primary key or UNIQUE. */
export function keyParts({ name, definition }: PlannedConstraint): readonly string[] {
  const list = KEY.exec(definition)?.[1];
  if (list === undefined) throw new Error(`key ${name} of the plan is of another form`);
  return namesIn(list);
}

function namesIn(list = ""): string[] {
  return [...list.matchAll(/"((?:[^"]|"")*)"/g)].map(([, name = ""]) => name.replaceAll('""', '"'));
}
