/**
 * {@linkcode ServedClient}: one client, as the server sees it. What it has asked,
 * what it has leases for, and what becomes of all that when it is gone.
 *
 * ```
 *   welcome ──> hello ──> requests … ──goodbye──> end: what it holds stays held
 *                             └──end of file, nonsense──> end: that is abandoned
 * ```
 *
 * Runs in the server.
 *
 * @module
 */
import {
  EncodingError,
  EofError,
  ProcessError,
  RemoteError,
} from "../errors.ts";
import { log } from "../_log.ts";
import { restore } from "../contexts/functions.ts";
import type { SocketConnection } from "../network/mod.ts";
import { newChallenge, proofOf } from "./_family.ts";
import { packed } from "./_failures.ts";
import type { Call, Caller } from "./_managed.ts";
import * as say from "./_messages.ts";
import type { Message } from "./_messages.ts";
import type { Referent } from "./_objects.ts";
import { arrive, lendForeign } from "./_remote.ts";
import type { Core, Outcome } from "./_core.ts";
import { originOf } from "./proxy.ts";
import type { BaseProxy } from "./proxy.ts";
import type { LocalOrigin } from "./_objects.ts";
import { Peer } from "./_wire.ts";
import type { Wire } from "./_wire.ts";

// deno-lint-ignore ban-types -- any function
type AnyFunction = Function;

/** How long a client may take to say who it is. */
const HELLO_MS = 20_000;
/** Answers that a client has not read, in bytes, before it is not listened to. */
const UNREAD_BYTES = 32 * 1024 * 1024;

/** See the module. */
export class ServedClient implements Caller {
  readonly #core: Core;
  readonly #connection: SocketConnection;
  readonly #wire: Wire;
  readonly #peer: Peer;
  readonly #leases = new Map<Referent, number>();
  readonly #running = new Map<number, AbortController>();
  /** What was taken and may not have arrived, by request. */
  readonly #untaken = new Map<number, () => void>();
  readonly #listeners = new Set<(hasCrashed: boolean) => void>();
  #name = "a client";
  #isFamily = false;
  #saidGoodbye = false;
  #isGone = false;
  /** Leases of an answer that is being made. */
  #lent: Referent[] = [];
  #unread = 0;
  #onRead: (() => void) | undefined;
  #sent: Promise<void> = Promise.resolve();

  /**
   * Serves a client; {@linkcode ServedClient.serve} does the rest.
   *
   * @param core The server.
   * @param connection The way to the client.
   */
  constructor(core: Core, connection: SocketConnection) {
    this.#core = core;
    this.#connection = connection;
    this.#wire = core.wire;
    this.#peer = new Peer({
      lend: (proxy) => this.#lend(proxy as BaseProxy),
      borrow: (data) => this.#borrow(data as readonly unknown[]),
      restore: (data) => this.#restore(data),
    });
  }

  /** See {@linkcode Caller.isGone}. */
  get isGone(): boolean {
    return this.#isGone;
  }

  /** See {@linkcode Caller.isFamily}. */
  get isFamily(): boolean {
    return this.#isFamily;
  }

  /** See {@linkcode Caller.onGone}. */
  onGone(listener: (hasCrashed: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Serves it until it is gone. Does not reject. */
  async serve(): Promise<void> {
    try {
      await this.#greet();
      while (!this.#saidGoodbye) {
        // What comes behind a request begins after it.
        await this.#take(await this.#connection.recvBytes());
        if (this.#unread > UNREAD_BYTES) await this.#untilRead();
      }
    } catch (error) {
      if (!(error instanceof EofError) && !this.#connection.closed) {
        log.info(() => `client ${this.#name} is cut off: ${error}`);
      }
    } finally {
      this.#leave();
    }
  }

  /** Closes the connection once what was answered has been sent. */
  async close(): Promise<void> {
    await this.#sent;
    this.cutOff();
  }

  /** Closes the connection at once. */
  cutOff(): void {
    this.#connection.close();
  }

  // ---- requests -------------------------------------------------------------

  async #greet(): Promise<void> {
    const challenge = newChallenge();
    const { id, name } = this.#core;
    this.#send(say.WELCOME, 0, [id, name, challenge]);
    const hello = this.#wire.unpack(
      await this.#connection.recvBytes(undefined, { timeout: HELLO_MS }),
    );
    if (hello.kind !== say.HELLO) {
      throw new ProcessError("Cannot serve a client that does not say hello");
    }
    this.#name = String(hello.head[0]);
    this.#isFamily = hello.head[1] === await proofOf(challenge);
  }

  #take(bytes: Uint8Array): Promise<unknown> | undefined | void {
    const message = this.#wire.unpack(bytes);
    const { kind, request, head } = message;
    const objects = this.#core.objects;
    switch (kind) {
      case say.CREATE: {
        const typeid = String(head[0]);
        return this.#run(
          message,
          (_call, args) => this.#core.create(typeid, args),
        );
      }
      case say.CALL: {
        const [id, method] = head;
        if (id === 0) {
          return this.#run(
            message,
            (call, args) => this.#core.ask(call, String(method), args),
          );
        }
        const referent = objects.find(id);
        return this.#run(
          message,
          (call, args) => this.#core.call(call, referent, String(method), args),
        );
      }
      case say.RELEASE: {
        const referent = objects.find(head[0]);
        if (referent) this.#release(referent);
        return;
      }
      case say.HOLD:
        return this.#core.holds.hold(
          String(head[1]),
          objects.find(head[0]),
          this,
        );
      case say.DROP:
        this.#core.holds.drop(String(head[0]));
        return;
      case say.ADOPT: {
        const referent = objects.find(head[0]);
        if (referent) this.#lease(referent);
        return this.#core.holds.adopted(String(head[1]));
      }
      case say.CANCEL:
        // Either it waits still, or what it has taken goes back.
        this.#running.get(request)?.abort();
        return this.#undo(request);
      case say.ACCEPT:
        this.#untaken.delete(request);
        return;
      case say.RETURN:
        return this.#undo(request);
      case say.GOODBYE:
        this.#saidGoodbye = true;
        return;
      default:
        throw new ProcessError(
          `Cannot serve a client that says something unknown: ${kind}`,
        );
    }
  }

  /** Tells the client that what it had sent on has arrived. */
  tellAdopted(ticket: string): void {
    if (!this.#isGone) this.#send(say.ADOPTED, 0, [ticket]);
  }

  #undo(request: number): void {
    const undo = this.#untaken.get(request);
    this.#untaken.delete(request);
    undo?.();
  }

  /**
   * Does what a request asks for. It has begun when this returns; unless modules of
   * functions have to be loaded first: then when what this gives is fulfilled.
   */
  #run(
    { request, body }: Message,
    action: (call: Call, args: unknown[]) => Outcome | Promise<Outcome>,
  ): Promise<unknown> | undefined {
    const control = new AbortController();
    const { signal } = control;
    this.#running.set(request, control);
    let undo: (() => void) | undefined;
    const call: Call = {
      client: this,
      signal,
      taken: (goBack) => undo = once(goBack),
    };
    const fail = (error: unknown) => {
      undo?.();
      this.#fail(request, error);
    };
    const answer = (outcome: Outcome) => {
      // It was taken just before nobody waited for it any more, which is heard of
      // only now. The client has said all that it has to say about it.
      if (undo && (signal.aborted || this.#isGone)) fail(signal.reason);
      else this.#answer(request, outcome, undo);
    };
    try {
      const { value, loading } = this.#wire.readBody(body, this.#peer);
      const begin = () => action(call, value as unknown[]);
      const outcome = loading ? loading.then(begin) : begin();
      if (outcome instanceof Promise) outcome.then(answer).catch(fail);
      else answer(outcome);
      return loading?.catch(() => {}); // told by its answer
    } catch (error) {
      fail(error);
    }
  }

  #answer(
    request: number,
    outcome: Outcome,
    undo: (() => void) | undefined,
  ): void {
    this.#running.delete(request);
    const { referent, value } = outcome;
    if (this.#isGone) {
      if (referent) this.#core.objects.release(referent);
      return;
    }
    if (referent) {
      // The lease that it was made with is the client's.
      this.#leases.set(referent, (this.#leases.get(referent) ?? 0) + 1);
      this.#send(say.OBJECT, request, [referent.describe()]);
      return;
    }
    const body = this.#bodyOf(value);
    if (undo) this.#untaken.set(request, undo);
    this.#send(undo ? say.TAKEN : say.RESULT, request, [], body);
  }

  #bodyOf(value: unknown): unknown {
    this.#lent = [];
    try {
      return this.#wire.body(value, "result", this.#peer);
    } catch (cause) {
      for (const referent of this.#lent) this.#release(referent);
      throw new RemoteError(
        `Unserializable message: ${cause}`,
        this.#core.name,
        cause instanceof Error ? cause.stack ?? "" : "",
      );
    } finally {
      this.#lent = [];
    }
  }

  #fail(request: number, error: unknown): void {
    this.#running.delete(request);
    if (this.#isGone) return;
    const body = packed(error, this.#wire, this.#peer);
    this.#send(say.THROWN, request, [], body);
  }

  #send(
    kind: number,
    request: number,
    head: readonly unknown[],
    body?: unknown,
  ): void {
    const message = this.#wire.pack(kind, request, head, body);
    this.#unread += message.byteLength;
    this.#sent = this.#connection.sendBytes(message).then(
      () => this.#hasRead(message.byteLength),
      () => this.#hasRead(message.byteLength), // the reading side learns of it
    );
  }

  #hasRead(bytes: number): void {
    this.#unread -= bytes;
    if (this.#unread <= UNREAD_BYTES) this.#onRead?.();
  }

  async #untilRead(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onRead = resolve;
    await promise;
    this.#onRead = undefined;
  }

  // ---- proxies and functions --------------------------------------------------

  #lend(proxy: BaseProxy): unknown {
    const { referent } = originOf(proxy) as Partial<LocalOrigin>;
    if (!referent) return lendForeign(originOf(proxy));
    this.#lease(referent);
    this.#lent.push(referent);
    return ["object", referent.describe()];
  }

  #borrow(data: readonly unknown[]): object {
    const [kind, what] = data;
    if (kind === "own") return this.#core.localProxy(what);
    if (!this.#isFamily) {
      throw new EncodingError(
        "Cannot take a proxy of another manager from a client of another program: it would have this server connect to wherever that says",
      );
    }
    return arrive(what);
  }

  #restore(
    data: unknown,
  ): { fn: AnyFunction; loading: Promise<void> | undefined } {
    const allowed = this.#core.functionOf(data);
    if (allowed) return { fn: allowed, loading: undefined };
    if (this.#isFamily) return restore(data);
    throw new EncodingError(
      `Cannot run function "${
        String((data as { name?: unknown })?.name)
      }" for a client of another program as the manager was not given it: name it in its option 'functions'`,
    );
  }

  #lease(referent: Referent): void {
    this.#core.objects.lease(referent);
    this.#leases.set(referent, (this.#leases.get(referent) ?? 0) + 1);
  }

  #release(referent: Referent): void {
    const count = this.#leases.get(referent);
    if (count === undefined) return;
    if (count === 1) this.#leases.delete(referent);
    else this.#leases.set(referent, count - 1);
    this.#core.objects.release(referent);
  }

  // ---- the end ----------------------------------------------------------------

  #leave(): void {
    this.#isGone = true;
    const hasCrashed = !this.#saidGoodbye;
    log.debug(() =>
      `client ${this.#name} ${hasCrashed ? "is gone" : "has said goodbye"}`
    );
    // First whoever waits, so that nobody of them gets what is given up below.
    for (const control of this.#running.values()) {
      control.abort(new EofError("Cannot go on as the client has ended"));
    }
    this.#running.clear();
    // The newest first, so that each finds things as it left them.
    for (const undo of [...this.#untaken.values()].reverse()) undo();
    this.#untaken.clear();
    for (const listener of [...this.#listeners]) {
      attempt(() => listener(hasCrashed));
    }
    this.#listeners.clear();
    this.#core.holds.senderGone(this);
    for (const [referent, count] of this.#leases) {
      for (let i = 0; i < count; i++) {
        attempt(() => this.#core.objects.release(referent));
      }
    }
    this.#leases.clear();
    this.#onRead?.();
    this.#connection.close();
  }
}

/** What gives something back: once, though the client may be gone as well. */
function once(goBack: () => unknown): () => void {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    attempt(goBack);
  };
}

/** A fault in one thing must not keep the others from being given back. */
function attempt(giveBack: () => unknown): void {
  const onFault = (error: unknown) =>
    log.error(() => `cannot give back what a client had: ${error}`);
  try {
    const done = giveBack();
    if (done instanceof Promise) done.catch(onFault);
  } catch (error) {
    onFault(error);
  }
}
