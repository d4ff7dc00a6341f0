import type { StepRunner } from "@lifeboat/core";
import { DefaultRenderer, Listr, ListrLogger, ProcessOutput } from "listr2";
import { ProgressLine } from "./progress-line.ts";
import { duration } from "./show/units.ts";

/** Often enough for the eye, and no load on what is being measured. */
const EVERY_SECONDS = 0.1;

/** Standard output belongs to the result, so the terminal is the one behind stderr. */
class StderrRenderer extends DefaultRenderer {
  static override nonTTY = true;
}

/** Runs steps on a terminal: each with its bytes, rate and time left as it goes. */
export function terminalRunner({ color }: { readonly color: boolean }): StepRunner {
  return async (steps) => {
    // listr2 asks the environment for colors, not its options.
    if (!color) process.env.NO_COLOR = "1";
    const tasks = steps.map((step) => ({
      title: step.title,
      task: async (_: unknown, task: { title: string; output: string }) => {
        const line = new ProgressLine();
        let saidAt = 0;
        await step.run((progress) => {
          line.take(progress);
          if (line.seconds() - saidAt < EVERY_SECONDS) return;
          saidAt = line.seconds();
          task.output = line.text();
        });
        task.title = `${step.title} (${duration(line.seconds())})`;
      },
    }));
    const logger = new ListrLogger({
      // It holds back what is written to either while it draws, and cannot hold one stream twice.
      processOutput: new ProcessOutput(process.stderr, process.stdout),
      useIcons: true,
      toStderr: [],
    });
    const listr = new Listr(tasks, {
      renderer: StderrRenderer,
      rendererOptions: { logger, collapseErrors: false, showErrorMessage: false },
      registerSignalListeners: false,
    } as ConstructorParameters<typeof Listr>[1]);
    await listr.run();
  };
}
