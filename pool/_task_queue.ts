/**
 * Tasks that wait for a worker: those with the highest priority first, and of
 * equal ones the oldest.
 *
 * Almost always there is only one priority, so it is kept as a list of lines, one
 * for each priority, the highest first. Taking from a line moves nothing; what
 * has been taken is cut off now and then.
 *
 * Runs in the parent.
 *
 * @module
 */
import type { Task } from "./_task.ts";

/** So many taken entries are worth cutting off, if they are half of the line. */
const CUT_AT = 1024;

interface Line {
  readonly priority: number;
  tasks: (Task | undefined)[];
  /** Where the line starts. */
  head: number;
}

/** See the module. */
export class TaskQueue {
  readonly #lines: Line[] = [];
  /** Tasks in it that have not been abandoned. */
  #size = 0;

  /** How many tasks wait. */
  get size(): number {
    return this.#size;
  }

  /** Puts a task at the end of its line. */
  push(task: Task): void {
    this.#lineOf(task.work.settings.priority).tasks.push(task);
    this.#size++;
  }

  /**
   * Puts tasks back to the head of their lines.
   *
   * @param tasks The tasks, the oldest first.
   */
  putBack(tasks: readonly Task[]): void {
    for (let i = tasks.length - 1; i >= 0; i--) {
      const task = tasks[i]!;
      const line = this.#lineOf(task.work.settings.priority);
      if (line.head > 0) line.tasks[--line.head] = task;
      else line.tasks.unshift(task);
      this.#size++;
    }
  }

  /** Says that a task in it has been abandoned. It stays while others wait. */
  forget(): void {
    if (--this.#size === 0) this.#empty();
  }

  /** Takes the next task that is still wanted. */
  shift(): Task | undefined {
    const lines = this.#lines;
    while (this.#size > 0) {
      const line = lines[0]!;
      if (line.head === line.tasks.length) { // it was kept, see below
        lines.shift();
        continue;
      }
      const task = line.tasks[line.head]!;
      line.tasks[line.head++] = undefined;
      if (line.head === line.tasks.length && lines.length > 1) lines.shift();
      else if (line.head >= CUT_AT && line.head * 2 >= line.tasks.length) {
        line.tasks = line.tasks.slice(line.head);
        line.head = 0;
      }
      if (task.isAbandoned) continue;
      if (--this.#size === 0) this.#empty();
      return task;
    }
    return undefined;
  }

  /** One line is kept: most often that of the next task. */
  #empty(): void {
    const [line] = this.#lines;
    line!.tasks.length = line!.head = 0;
    this.#lines.length = 1;
  }

  /** Takes all that are still wanted. */
  clear(): Task[] {
    const tasks: Task[] = [];
    let task = this.shift();
    while (task) {
      tasks.push(task);
      task = this.shift();
    }
    return tasks;
  }

  #lineOf(priority: number): Line {
    const lines = this.#lines;
    const first = lines[0];
    if (first?.priority === priority) return first;
    let at = 0;
    while (at < lines.length && lines[at]!.priority > priority) at++;
    const found = lines[at];
    if (found?.priority === priority) return found;
    const line = { priority, tasks: [], head: 0 };
    lines.splice(at, 0, line);
    return line;
  }
}
