/** The guide from Python forgets no name: of this package, nor of Python's. */
import { assertEquals } from "@std/assert";
import * as logging from "../../logging.ts";
import * as frontDoor from "../../mod.ts";

const guide = await Deno.readTextFile(
  new URL("../../docs/from_python.md", import.meta.url),
);
/** All that stands between backticks, outside of snippets. */
const code = [...guide.replace(/^```.*?^```$/gms, "").matchAll(/`([^`]+)`/g)]
  .map(([, text]) => text).join("\n");

function missing(names: readonly string[]): string[] {
  return names.filter((name) => !new RegExp(`\\b${name}\\b`).test(code));
}

Deno.test("from_python.md has each name of the front door", () => {
  assertEquals(missing(Object.keys(frontDoor)), []);
  assertEquals(missing(Object.keys(logging)), []);
});

/** What CPython 3.11 exports. */
const PYTHON = {
  "multiprocessing":
    "Array AuthenticationError Barrier BoundedSemaphore BufferTooShort Condition Event JoinableQueue Lock Manager Pipe Pool Process ProcessError Queue RLock RawArray RawValue Semaphore SimpleQueue TimeoutError Value active_children allow_connection_pickling cpu_count current_process freeze_support get_all_start_methods get_context get_logger get_start_method log_to_stderr parent_process reducer set_executable set_forkserver_preload set_start_method SUBDEBUG SUBWARNING",
  "multiprocessing.connection": "Client Listener Pipe wait",
  "multiprocessing.pool": "Pool ThreadPool AsyncResult",
  "multiprocessing.shared_memory": "SharedMemory ShareableList",
  "multiprocessing.sharedctypes":
    "RawValue RawArray Value Array copy synchronized",
  "multiprocessing.managers":
    "BaseManager SyncManager BaseProxy Token SharedMemoryManager",
  "multiprocessing.process":
    "BaseProcess active_children current_process parent_process",
  "multiprocessing.util":
    "sub_debug debug info sub_warning get_logger log_to_stderr get_temp_dir register_after_fork is_exiting Finalize ForkAwareThreadLock ForkAwareLocal close_all_fds_except SUBDEBUG SUBWARNING",
};

for (const [module, names] of Object.entries(PYTHON)) {
  Deno.test(`from_python.md has each name of ${module}`, () => {
    assertEquals(missing(names.split(" ")), []);
  });
}
