/**
 * The calls into Windows, and nothing but the calls: memory in a named section,
 * the state of processes, the command line, doorbells.
 *
 * Names and numbers are those of the Windows SDK (`memoryapi.h`, `winnt.h`,
 * `processthreadsapi.h`, `winsock2.h`).
 *
 * Runs in the parent and in the child, on Windows.
 *
 * @module
 */

const KERNEL = {
  CreateFileMappingW: {
    parameters: ["isize", "usize", "u32", "u32", "u32", "buffer"],
    result: "usize",
  },
  OpenFileMappingW: { parameters: ["u32", "i32", "buffer"], result: "usize" },
  MapViewOfFile: {
    parameters: ["usize", "u32", "u32", "u32", "usize"],
    result: "pointer",
  },
  VirtualAlloc: {
    parameters: ["usize", "usize", "u32", "u32"],
    result: "usize",
  },
  CloseHandle: { parameters: ["usize"], result: "i32" },
  GetLastError: { parameters: [], result: "u32" },
  OpenProcess: { parameters: ["u32", "i32", "u32"], result: "usize" },
  WaitForSingleObject: { parameters: ["usize", "u32"], result: "u32" },
  SetConsoleCtrlHandler: { parameters: ["usize", "i32"], result: "i32" },
  GetCommandLineW: { parameters: [], result: "pointer" },
  GetModuleHandleW: { parameters: ["buffer"], result: "usize" },
  GetProcAddress: { parameters: ["usize", "buffer"], result: "usize" },
  RegisterWaitForSingleObject: {
    parameters: ["buffer", "usize", "usize", "isize", "u32", "u32"],
    result: "i32",
  },
} as const;

const SHELL = {
  CommandLineToArgvW: { parameters: ["pointer", "buffer"], result: "pointer" },
} as const;

const WINSOCK = {
  WSAStartup: { parameters: ["u16", "buffer"], result: "i32" },
  WSASocketW: {
    parameters: ["i32", "i32", "i32", "usize", "u32", "u32"],
    result: "usize",
  },
  bind: { parameters: ["usize", "buffer", "i32"], result: "i32" },
  getsockname: { parameters: ["usize", "buffer", "buffer"], result: "i32" },
  setsockopt: {
    parameters: ["usize", "i32", "i32", "buffer", "i32"],
    result: "i32",
  },
  sendto: {
    parameters: ["usize", "buffer", "i32", "i32", "buffer", "i32"],
    result: "i32",
  },
  recv: {
    parameters: ["usize", "buffer", "i32", "i32"],
    result: "i32",
    nonblocking: true,
  },
  closesocket: { parameters: ["usize"], result: "i32" },
} as const;

let kernelCalls:
  | Deno.DynamicLibrary<typeof KERNEL>["symbols"]
  | undefined;
let socketCalls:
  | Deno.DynamicLibrary<typeof WINSOCK>["symbols"]
  | undefined;

/** `kernel32.dll`, opened once per thread. */
export function kernel(): Deno.DynamicLibrary<typeof KERNEL>["symbols"] {
  return kernelCalls ??= Deno.dlopen("kernel32.dll", KERNEL).symbols;
}

/** `WSADATA` has 408 bytes. */
const WSADATA_BYTES = 512;
/** Version 2.2 of the interface. */
const WINSOCK_2_2 = 0x0202;

/** `ws2_32.dll`, opened and started once per thread. */
export function winsock(): Deno.DynamicLibrary<typeof WINSOCK>["symbols"] {
  if (socketCalls) return socketCalls;
  socketCalls = Deno.dlopen("ws2_32.dll", WINSOCK).symbols;
  socketCalls.WSAStartup(WINSOCK_2_2, new Uint8Array(WSADATA_BYTES));
  return socketCalls;
}

/** Text as Windows wants it: UTF-16, with a zero behind it. */
export function wideString(text: string): Uint16Array<ArrayBuffer> {
  return Uint16Array.from(`${text}\0`, (unit) => unit.charCodeAt(0));
}

function readWide(pointer: Deno.PointerObject): string {
  const view = new Deno.UnsafePointerView(pointer);
  let text = "";
  for (let offset = 0;; offset += 2) {
    const unit = view.getUint16(offset);
    if (unit === 0) return text;
    text += String.fromCharCode(unit);
  }
}

// ---- processes --------------------------------------------------------------

/** `SYNCHRONIZE`. */
const MAY_WAIT = 0x0010_0000;
const WAIT_OBJECT_0 = 0;
/** There is no process of that number. */
const ERROR_INVALID_PARAMETER = 87;

/** Whether a process has ended. */
export function hasProcessEnded(pid: number): boolean {
  const { OpenProcess, WaitForSingleObject, CloseHandle, GetLastError } =
    kernel();
  const handle = OpenProcess(MAY_WAIT, 0, pid);
  // Refused for any other reason, it is there.
  if (handle === 0n) return GetLastError() === ERROR_INVALID_PARAMETER;
  const hasEnded = WaitForSingleObject(handle, 0) === WAIT_OBJECT_0;
  CloseHandle(handle);
  return hasEnded;
}

const FOR_EVER = 0xffff_ffff;
/** `WT_EXECUTEONLYONCE`. */
const ONCE = 0x08;
/** What `GetCurrentProcess()` returns. */
const THIS_PROCESS = -1n;

/**
 * Has the system end this process when another ends, whatever it does at that
 * time. When the other's handle becomes ready, the system calls a function with
 * the context and `FALSE`; that function is `TerminateProcess` itself, which so
 * gets this process and the exit code 0.
 */
export function dieWithProcess(pid: number): void {
  const {
    OpenProcess,
    GetModuleHandleW,
    GetProcAddress,
    RegisterWaitForSingleObject,
  } = kernel();
  const handle = OpenProcess(MAY_WAIT, 0, pid);
  const end = GetProcAddress(
    GetModuleHandleW(wideString("kernel32.dll")),
    new TextEncoder().encode("TerminateProcess\0"),
  );
  if (handle === 0n || end === 0n) return;
  const registration = new BigUint64Array(1);
  RegisterWaitForSingleObject(
    registration,
    handle,
    end,
    THIS_PROCESS,
    FOR_EVER,
    ONCE,
  );
}

/** Leaves Ctrl-C to the parent. */
export function ignoreConsole(): void {
  kernel().SetConsoleCtrlHandler(0n, 1);
}

/** The command line of this process, program first. */
export function commandLineOfWindows(): string[] | undefined {
  const { CommandLineToArgvW } = Deno.dlopen("shell32.dll", SHELL).symbols;
  const count = new Int32Array(1);
  const list = CommandLineToArgvW(kernel().GetCommandLineW(), count);
  if (list === null) return undefined;
  const view = new Deno.UnsafePointerView(list);
  return Array.from(
    { length: count[0]! },
    (_, i) => readWide(view.getPointer(i * 8)!),
  );
}
