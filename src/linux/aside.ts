import { CFunction, FFIType, ptr } from "bun:ffi";
import { AT_FDCWD, CLONE_FILES, CLONE_VFORK, CLONE_VM, O_CLOEXEC } from "./constants.ts";
import { errno } from "./errno.ts";
import { encodePathInto } from "./pathBytes.ts";
import type { Syscall } from "./syscallNumbers.ts";

/** One call of `Linux.aside`. */
export type AsideCall =
  | { name: "setns"; fd: number; flags: number }
  | { name: "unshare"; flags: number }
  | { name: "openat"; path: string; flags: number }
  | { name: "socket"; domain: number; type: number; protocol: number };

/** As `createLinux` makes them: a failure is the errno, negative. */
type Attempt = (name: Syscall, ...words: number[]) => number;

/**
 * run(table, count, stack): makes a child by clone(2), which shares this process's memory and descriptors and holds the calling thread until it is
 * done, as vfork(2) does. The child makes `count` system calls, each a row of eight words (number, six arguments, room for the result),
 * and ends. Gives the child's pid, or a negative errno. Nothing but the rows is read or written; the child touches no stack.
 *
 * It cannot be said in JavaScript, whose functions run on threads of this process alone; and a thread of the kind that user namespaces make
 * (setns(2) into a network namespace of the user's, none back to the host's) must not be one of the engine's.
 * The bytes are what `as` makes of the comments.
 */
const CODE: Record<string, string> = {
  x64: [
    "53 55", //                                   push rbx; push rbp
    "4889fb 4889f5 4889d6", //                    mov rbx, rdi (table); mov rbp, rsi (count); mov rsi, rdx (stack)
    "bf00450000 31d2 4531d2 4531c0", //           mov edi, FLAGS; xor edx, edx; xor r10d, r10d; xor r8d, r8d
    "b838000000 0f05", //                         mov eax, 56 (clone); syscall
    "4885c0 7538", //                             test rax, rax; jnz parent
    "4885ed 742a", //                       loop: test rbp, rbp; jz done
    "488b03 488b7b08 488b7310 488b5318", //       mov rax, [rbx]; mov rdi, [rbx+8]; mov rsi, [rbx+16]; mov rdx, [rbx+24]
    "4c8b5320 4c8b4328 4c8b4b30", //              mov r10, [rbx+32]; mov r8, [rbx+40]; mov r9, [rbx+48]
    "0f05 48894338", //                           syscall; mov [rbx+56], rax
    "4883c340 48ffcd ebd1", //                    add rbx, 64; dec rbp; jmp loop
    "31ff b83c000000 0f05", //              done: xor edi, edi; mov eax, 60 (exit); syscall
    "5d 5b c3", //                        parent: pop rbp; pop rbx; ret
  ].join(""),
  arm64: [
    "e90300aa ea0301aa e10302aa", //              mov x9, x0 (table); mov x10, x1 (count); mov x1, x2 (stack)
    "00a088d2 020080d2 030080d2 040080d2", //     mov x0, FLAGS; mov x2, 0; mov x3, 0; mov x4, 0
    "881b80d2 010000d4", //                       mov x8, 220 (clone); svc 0
    "c00100b5", //                                cbnz x0, parent
    "4a0100b4", //                          loop: cbz x10, done
    "280140f9 208540a9 228d41a9 249542a9", //     ldr x8, [x9]; ldp x0, x1, [x9, 8]; ldp x2, x3, [x9, 24]; ldp x4, x5, [x9, 40]
    "010000d4 201d00f9", //                       svc 0; str x0, [x9, 56]
    "29010191 4a0500d1 f7ffff17", //              add x9, x9, 64; sub x10, x10, 1; b loop
    "000080d2 a80b80d2 010000d4", //        done: mov x0, 0; mov x8, 93 (exit); svc 0
    "c0035fd6", //                        parent: ret
  ].join(""),
};
const FLAGS = CLONE_VM | CLONE_FILES | CLONE_VFORK; // with no signal at the end: 0x4500, as the code has it
const ROW = 8;
const MOST = 8; // calls at once
const PATH_BYTES = 256;
const [PROT_READ, PROT_EXEC, MAP_PRIVATE, SIG_SETMASK, WAIT_ALL] = [1, 4, 2, 2, 0x40000000];

/** Makes the function behind `Linux.aside`: each call's result, or its errno, negative. `numbers`: of system calls. */
export function asideRunner(
  attempt: Attempt,
  numbers: Record<Syscall, number>,
  memoryFile: (bytes: Uint8Array) => number,
): (calls: readonly AsideCall[]) => number[] {
  const code = Buffer.from((CODE[process.arch] ?? "").replaceAll(" ", ""), "hex");
  if (FLAGS !== 0x4500 || code.length === 0) throw new Error(`no code for ${process.arch}`);
  const file = memoryFile(code);
  const address = attempt("mmap", 0, code.length, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
  attempt("close", file);
  if (address < 0) throw new Error(`mmap: errno ${-address}`);
  const word = FFIType.i64_fast;
  const run = CFunction({ ptr: address as never, args: [word, word, word], returns: word }) as unknown as (
    ...words: number[]
  ) => number;
  // Fixed memory, which stays where it is while the child is at it.
  const stack = new Uint8Array(4096);
  const masks = new Uint8Array(16).fill(255, 0, 8); // all signals; then what was blocked before
  const table = new BigInt64Array(MOST * ROW);
  const text = new Uint8Array(MOST * PATH_BYTES);

  return (calls) => {
    if (calls.length > MOST) throw new Error(`${calls.length} calls aside`);
    for (const [at, call] of calls.entries()) {
      const room = text.subarray(at * PATH_BYTES, (at + 1) * PATH_BYTES);
      table.set([numbers[call.name], ...wordsOf(call, room), 0, 0, 0, 0, 0].slice(0, ROW - 1).map(BigInt), at * ROW);
      table[at * ROW + ROW - 1] = BigInt(-errno.ECANCELED);
    }
    // A signal's handler must not run in the child, which would take itself for us.
    attempt("rt_sigprocmask", SIG_SETMASK, ptr(masks), ptr(masks) + 8, 8);
    try {
      const child = run(ptr(table), calls.length, ptr(stack) + stack.length);
      if (child < 0) return calls.map(() => child);
      attempt("wait4", child, 0, WAIT_ALL, 0);
    } finally {
      attempt("rt_sigprocmask", SIG_SETMASK, ptr(masks) + 8, 0, 8);
    }
    return calls.map((_, at) => Number(table[at * ROW + ROW - 1]));
  };
}

/** The arguments; a path goes to `room`, which has to last. */
function wordsOf(call: AsideCall, room: Uint8Array): number[] {
  switch (call.name) {
    case "setns":
      return [call.fd, call.flags];
    case "unshare":
      return [call.flags];
    case "openat":
      if (encodePathInto(call.path, room) < 0) throw new Error(`a path too long: ${call.path}`);
      return [AT_FDCWD, ptr(room), call.flags | O_CLOEXEC, 0];
    case "socket":
      return [call.domain, call.type | O_CLOEXEC, call.protocol];
  }
}
