/* libringside in C: a debug server for somebody else's virtual machine. The embedder fills in a
 * table of callbacks and gives the endpoint its turns; examples/kvm_vmm.c is a whole VMM that does.
 * The same in C++, with more abilities, is ringside/debug_endpoint.h, in the static library only.
 *
 * Threads: everything is called, and calls back, on the one thread that serves the debugger, except
 * ringside_wake(), which any thread and any signal handler may call. A process may have any number
 * of endpoints. A callback may not call the endpoint, and no exception may leave it.
 *
 * Versions: a struct that can grow begins with its size. New fields are added at the end, and those
 * behind the size that was given count as zero, which stands for "not there". So a program goes on
 * to work with a later libringside without being compiled again. */
#ifndef RINGSIDE_RINGSIDE_H
#define RINGSIDE_RINGSIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RINGSIDE_VERSION_MAJOR 0
#define RINGSIDE_VERSION_MINOR 1
#define RINGSIDE_VERSION_PATCH 0
/* Comparable: 1002003 is 1.2.3. */
#define RINGSIDE_VERSION_NUMBER \
  (RINGSIDE_VERSION_MAJOR * 1000000 + RINGSIDE_VERSION_MINOR * 1000 + RINGSIDE_VERSION_PATCH)

#define RINGSIDE_API __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the library that is there, as RINGSIDE_VERSION_NUMBER is that of this header. */
RINGSIDE_API uint32_t ringside_version(void);

/* ---- What went wrong: given back by functions here, and by callbacks */
typedef int32_t ringside_status;
enum {
  RINGSIDE_OK = 0,
  RINGSIDE_BAD_REQUEST = 1,   /* malformed or out of range */
  RINGSIDE_BAD_ADDRESS = 2,   /* nothing is there */
  RINGSIDE_NOT_SUPPORTED = 3, /* understood, but not possible here */
  RINGSIDE_NOT_FOUND = 4,     /* no such object, such as an MSR */
  RINGSIDE_BUSY = 5,          /* there are no more of them, or something is in progress */
  RINGSIDE_SYSTEM = 6,        /* the operating system refused */
  RINGSIDE_NO_MEMORY = 7,
  RINGSIDE_INTERNAL = 8 /* an error of the library, or an exception of a callback */
};
/* In a few words of English. */
RINGSIDE_API const char* ringside_status_text(ringside_status status);

/* ---- Registers */
/* Indices of ringside_cpu_state.gpr, in the order of their encoding. R8 to R15 are 8 to 15. */
enum {
  RINGSIDE_RAX = 0,
  RINGSIDE_RCX = 1,
  RINGSIDE_RDX = 2,
  RINGSIDE_RBX = 3,
  RINGSIDE_RSP = 4,
  RINGSIDE_RBP = 5,
  RINGSIDE_RSI = 6,
  RINGSIDE_RDI = 7
};
/* Indices of ringside_cpu_state.segment, in the order of their encoding. */
enum {
  RINGSIDE_ES = 0,
  RINGSIDE_CS = 1,
  RINGSIDE_SS = 2,
  RINGSIDE_DS = 3,
  RINGSIDE_FS = 4,
  RINGSIDE_GS = 5
};

typedef struct ringside_segment {
  uint64_t base;
  uint32_t limit; /* in bytes, granularity applied */
  uint16_t selector;
  /* Bits 40 to 55 of the descriptor (SDM 3A figure 3-8): type (4 bits), S, DPL (2), P, 4 bits that
   * are 0, AVL, L, D/B, G. */
  uint16_t attributes;
} ringside_segment;

typedef struct ringside_table {
  uint64_t base;
  uint16_t limit;
  uint16_t reserved[3];
} ringside_table;

typedef struct ringside_fpu_state {
  uint16_t control;
  uint16_t status; /* TOP in bits 11 to 13 */
  uint16_t tag;    /* two bits for each physical register (SDM 1 figure 8-7) */
  uint16_t opcode;
  uint64_t instruction_pointer;
  uint64_t data_pointer;
  uint16_t instruction_selector;
  uint16_t data_selector;
  uint32_t mxcsr;
  uint8_t st[8][16];      /* by stack position; bytes as FSTP m80 stores them, then six zeros */
  uint8_t vector[16][32]; /* XMM in the low 16 bytes */
} ringside_fpu_state;

/* All registers of a vCPU. The library hands out a state with the values after RESET in it and its
 * size set; the VMM fills in what it keeps, and nothing behind the size. */
typedef struct ringside_cpu_state {
  size_t size;
  uint64_t gpr[16];
  uint64_t rip;
  uint64_t rflags;
  ringside_segment segment[6];
  ringside_segment ldtr;
  ringside_segment tr;
  ringside_table gdtr;
  ringside_table idtr;
  uint64_t cr0;
  uint64_t cr2;
  uint64_t cr3;
  uint64_t cr4;
  uint64_t cr8;
  uint64_t dr[4];
  uint64_t dr6;
  uint64_t dr7;
  uint64_t xcr0;
  uint64_t efer;
  uint64_t apic_base;
  uint64_t star;
  uint64_t lstar;
  uint64_t cstar;
  uint64_t sfmask;
  uint64_t kernel_gs_base;
  uint64_t tsc_aux;
  uint64_t sysenter_cs;
  uint64_t sysenter_esp;
  uint64_t sysenter_eip;
  uint64_t pat;
  ringside_fpu_state fpu;
  uint32_t pkru;
  uint32_t reserved;
} ringside_cpu_state;

/* ---- Events: why a vCPU left the guest */
enum {
  /* Because of suspend(); nothing happened in the guest. */
  RINGSIDE_EVENT_PARKED = 0,
  /* It came alive (a start-up IPI), and has executed nothing yet. */
  RINGSIDE_EVENT_STARTED = 1,
  /* #BP was intercepted, with RINGSIDE_BREAKPOINT_EXIT on. RIP is still on the int3. */
  RINGSIDE_EVENT_BREAKPOINT = 2,
  /* Exactly one instruction was executed, with RINGSIDE_MONITOR_TRAP on. */
  RINGSIDE_EVENT_MONITOR_TRAP = 3,
  /* insert_breakpoint(): RIP is on the instruction at `address`, which has not been executed. When
   * resumed from here the vCPU executes it, unless set_state() has moved it meanwhile. */
  RINGSIDE_EVENT_HARDWARE_BREAKPOINT = 4,
  /* insert_watchpoint(): the instruction is complete. `address` is the one that was inserted. */
  RINGSIDE_EVENT_WATCHPOINT = 5,
  /* The guest has said that it cannot go on. It can be resumed. */
  RINGSIDE_EVENT_GUEST_PANIC = 6,
  /* A triple fault, or an error of the VMM, in `text`; while stop_instead_of_death() is on. */
  RINGSIDE_EVENT_DEAD = 7
};
enum { RINGSIDE_WATCH_WRITE = 0, RINGSIDE_WATCH_READ = 1, RINGSIDE_WATCH_ACCESS = 2 };

typedef struct ringside_event {
  size_t size; /* set by the library; all other fields are zero before take_event() */
  uint32_t vcpu;
  int32_t kind;                /* RINGSIDE_EVENT_ */
  uint64_t address;            /* linear */
  int32_t watch_kind;          /* RINGSIDE_WATCH_ */
  uint32_t instruction_length; /* of the int3; 0 counts as 1 */
  const char* text;            /* read before the next callback */
} ringside_event;

/* How the machine ended. The numbers are exit statuses as bhyve's, but for the last. */
enum {
  RINGSIDE_END_REBOOT = 0,
  RINGSIDE_END_POWER_OFF = 1,
  RINGSIDE_END_HALT = 2,
  RINGSIDE_END_TRIPLE_FAULT = 3,
  RINGSIDE_END_ERROR = 4,
  RINGSIDE_END_STATUS = 5 /* with the status in `status` */
};
typedef struct ringside_end {
  size_t size; /* set by the library; all other fields are zero before ended() */
  int32_t kind;
  int32_t status;
  const char* text; /* for an error or a triple fault, in words; read before the next callback */
} ringside_end;

/* ---- Callbacks */
/* What can be switched on and off per vCPU. Switching is not counted. */
enum {
  /* #BP becomes RINGSIDE_EVENT_BREAKPOINT. Software breakpoints need it. */
  RINGSIDE_BREAKPOINT_EXIT = 0,
  /* RINGSIDE_EVENT_MONITOR_TRAP after exactly one instruction. Steps need it. */
  RINGSIDE_MONITOR_TRAP = 1,
  /* No external interrupt is delivered. Steps stay out of interrupt handlers with it. */
  RINGSIDE_MASK_INTERRUPTS = 2
};

typedef struct ringside_exception {
  size_t size; /* set by the library */
  uint32_t vector;
  uint32_t has_error_code;
  uint32_t error_code;
  /* Of the instruction that raises #BP, a software exception: its frame has RIP + this. */
  uint32_t instruction_length;
} ringside_exception;

/* `user` is the pointer that ringside_open() was given; `vcpu` a number below vcpu_count().
 *
 * A vCPU is in the guest from resume() until its next event, and has exactly one event per resume:
 * what happened in the guest, or RINGSIDE_EVENT_PARKED after suspend(). An event that was already
 * on its way when suspend() came is that event; no PARKED follows. */
typedef struct ringside_vm_callbacks {
  size_t size; /* sizeof(ringside_vm_callbacks) */

  /* ---- What every VMM has */
  uint32_t (*vcpu_count)(void* user); /* 1 to 64, always the same */
  bool (*in_guest)(void* user, uint32_t vcpu);
  /* Only while the vCPU is out of the guest. A state with another RIP moves the vCPU: it arrives
   * anew at what stands there, a breakpoint too, and executes it when resumed, whatever it had
   * waited for in HLT. What a VMM does not keep it ignores. */
  ringside_status (*get_state)(void* user, uint32_t vcpu, ringside_cpu_state* state);
  ringside_status (*set_state)(void* user, uint32_t vcpu, const ringside_cpu_state* state);
  /* Guest-physical RAM and ROM, within one page; RINGSIDE_BAD_ADDRESS elsewhere. Code that is
   * written is executed as it is now. While at least one vCPU is out of the guest. */
  ringside_status (*read_memory)(void* user, uint64_t address, void* to, size_t size);
  ringside_status (*write_memory)(void* user, uint64_t address, const void* from, size_t size);
  /* Brings a vCPU out of the guest. Without effect on one that is out already. It need not be out
   * when this returns. */
  void (*suspend)(void* user, uint32_t vcpu);
  /* Lets a vCPU that is out of the guest run. */
  void (*resume)(void* user, uint32_t vcpu);
  /* The next event, in the order in which they happened; false when there is none now. */
  bool (*take_event)(void* user, ringside_event* event);

  /* ---- What is null where the VMM has not got it */
  /* A descriptor that is readable when take_event() may have something, always the same. Null or
   * -1: the guest runs on the thread that serves, when ringside_serve() has returned. */
  int (*event_fd)(void* user);
  /* Started: the boot processor always, others after their start-up IPI. Null: all are. */
  bool (*active)(void* user, uint32_t vcpu);
  /* In HLT, so that it retires nothing until an event comes. Null: never. */
  bool (*halted)(void* user, uint32_t vcpu);
  /* How a debugger lists the vCPU, in one line; read before the next callback. */
  const char* (*name)(void* user, uint32_t vcpu);
  /* RINGSIDE_BREAKPOINT_EXIT and the others: whether they are there on this host, and switching
   * one. Both or none. Switched only while the vCPU is out of the guest. */
  bool (*offers)(void* user, uint32_t vcpu, int32_t capability);
  ringside_status (*set_capability)(void* user, uint32_t vcpu, int32_t capability, bool on);
  /* Queues an exception for the next resume(): so the guest's own int3 goes back to it. Needed by
   * who offers RINGSIDE_BREAKPOINT_EXIT. */
  ringside_status (*inject_exception)(void* user, uint32_t vcpu,
                                      const ringside_exception* exception);
  /* RINGSIDE_NOT_FOUND for one that is not there. */
  ringside_status (*read_msr)(void* user, uint32_t vcpu, uint32_t number, uint64_t* value);
  ringside_status (*write_msr)(void* user, uint32_t vcpu, uint32_t number, uint64_t value);
  /* Breakpoints by linear address, on all vCPUs, without a byte in memory. RINGSIDE_BUSY where
   * there are no more. Not counted: inserted once, and removed once. While every vCPU is out of the
   * guest. Both or none; the same for watchpoints. */
  ringside_status (*insert_breakpoint)(void* user, uint64_t address);
  ringside_status (*remove_breakpoint)(void* user, uint64_t address);
  /* RINGSIDE_NOT_SUPPORTED for a range or a kind that cannot be watched. */
  ringside_status (*insert_watchpoint)(void* user, uint64_t address, uint64_t size,
                                       int32_t watch_kind);
  ringside_status (*remove_watchpoint)(void* user, uint64_t address, uint64_t size,
                                       int32_t watch_kind);
  /* Whether the machine has ended, and how. */
  bool (*ended)(void* user, ringside_end* end);
  /* While on, what would end the machine is RINGSIDE_EVENT_DEAD or RINGSIDE_EVENT_GUEST_PANIC. */
  void (*stop_instead_of_death)(void* user, bool on);
} ringside_vm_callbacks;

/* ---- Options */
enum {
  RINGSIDE_KILL_DETACHES = 0, /* a debugger's `kill` leaves the guest running */
  RINGSIDE_KILL_STOPS = 1     /* it ends the machine: ringside_wants_vm_end() */
};

/* Who may connect to an endpoint that listens. */
enum {
  RINGSIDE_ALLOW_SAME_USER = 0, /* of this host: the user of this process, and root */
  RINGSIDE_ALLOW_ANY = 1        /* all of this host; of other hosts who says the ringside_token() */
};

/* All zero but the size is the default. The callbacks get the same `user`. */
typedef struct ringside_options {
  size_t size;
  /* Not 0: no vCPU executes its first instruction before a debugger has attached and resumed it. */
  uint32_t wait;
  int32_t on_kill;
  /* Every vCPU is out of the guest, for a debugger that has been told so; it is let run again. */
  void (*guest_stopped)(void* user);
  void (*guest_resumed)(void* user);
  /* The first comes before the debugger has stopped anything, the second when all that it set is
   * undone. */
  void (*client_came)(void* user);
  void (*client_went)(void* user);
  /* Puts the machine into the state of power-on, while every vCPU is out of the guest. Null: a
   * debugger cannot restart the machine. */
  ringside_status (*restart)(void* user);
  /* One of RINGSIDE_ALLOW_. */
  int64_t allow;
} ringside_options;

/* ---- The endpoint */
typedef struct ringside_endpoint ringside_endpoint;

/* Listens at PORT, ADDRESS:PORT, [V6]:PORT, unix:PATH, stdio or fd:N; null or empty: nowhere, for
 * who hands connections to ringside_adopt(). `options` may be null. On success *endpoint is to be
 * given to ringside_close(); otherwise it is null, and ringside_last_error(NULL) has the text.
 * The tables are copied. */
RINGSIDE_API ringside_status ringside_open(const ringside_vm_callbacks* callbacks, void* user,
                                           const char* where, const ringside_options* options,
                                           ringside_endpoint** endpoint);
/* Null is allowed. A debugger that is there loses its connection; the guest stays as it is. */
RINGSIDE_API void ringside_close(ringside_endpoint* endpoint);
/* What the last function with this endpoint that failed had to say; with null, the last
 * ringside_open() of this thread. Valid until the next failure; never null. */
RINGSIDE_API const char* ringside_last_error(const ringside_endpoint* endpoint);

/* Once, before the guest runs: it runs from here on, or waits for a debugger. */
RINGSIDE_API ringside_status ringside_start(ringside_endpoint* endpoint);

/* A turn: takes events and serves the debugger, after a wait of at most `timeout` nanoseconds (-1:
 * for ever) for bytes, event_fd(), a signal or ringside_wake(). Does not wait while
 * ringside_time_to_wait() is 0: the caller is to run what runs on its thread, and come again. */
RINGSIDE_API ringside_status ringside_serve(ringside_endpoint* endpoint, int64_t timeout);
/* Makes the present or the next ringside_serve() return. */
RINGSIDE_API void ringside_wake(const ringside_endpoint* endpoint);

/* ---- For programs that have an event loop: wait until one of these descriptors is ready, at most
 * for ringside_time_to_wait(), and then call ringside_serve(endpoint, 0). After each turn they may
 * be others. */
enum { RINGSIDE_READ = 1, RINGSIDE_WRITE = 2 };
typedef struct ringside_descriptor {
  int32_t fd;
  uint32_t interest; /* RINGSIDE_READ, RINGSIDE_WRITE, both or none */
} ringside_descriptor;
/* Writes at most `room` of them, and gives back how many there are. */
RINGSIDE_API size_t ringside_descriptors(ringside_endpoint* endpoint, ringside_descriptor* to,
                                         size_t room);
/* In nanoseconds; -1: until a descriptor is ready. */
RINGSIDE_API int64_t ringside_time_to_wait(ringside_endpoint* endpoint);
/* Takes events and writes what there is to say, without a look at the descriptors: after the guest
 * has run. */
RINGSIDE_API ringside_status ringside_settle(ringside_endpoint* endpoint);

/* A debugger's connected stream socket, accepted by somebody else. RINGSIDE_BUSY if there is one
 * already. The endpoint owns the descriptor in any case. */
RINGSIDE_API ringside_status ringside_adopt(ringside_endpoint* endpoint, int socket);

/* Where it really listens, as a debugger would write it; empty where it does not. Valid until the
 * next call with this endpoint. */
RINGSIDE_API const char* ringside_where(ringside_endpoint* endpoint);
/* What a debugger of another host has to say first (monitor auth TOKEN); empty where other hosts
 * are refused. Valid until the next call with this endpoint. */
RINGSIDE_API const char* ringside_token(ringside_endpoint* endpoint);
RINGSIDE_API bool ringside_connected(const ringside_endpoint* endpoint);
/* A debugger's `kill`, where the options say that it ends the machine. */
RINGSIDE_API bool ringside_wants_vm_end(const ringside_endpoint* endpoint);

/* The VMM has put the machine into the state of power-on, with every vCPU out of the guest: what
 * vCPUs had still to tell is void. Not from ringside_options.restart, after which it is known. */
RINGSIDE_API ringside_status ringside_machine_was_reset(ringside_endpoint* endpoint);
/* The VMM ends the machine, with this status: a debugger that waits for a stop is told, by the next
 * turn. */
RINGSIDE_API ringside_status ringside_announce_end(ringside_endpoint* endpoint, int status);

#ifdef __cplusplus
}
#endif

#endif
