/* A VMM in C on /dev/kvm in one file, and GDB can stop, step, read and write its guest, and break
 * in it: 64 KiB of RAM, one vCPU on a thread of its own, no devices.
 *
 *     kvm_vmm ENDPOINT             (kvm_vmm 1234, then in GDB: target remote :1234)
 *
 * Not every KVM can do everything that its interface has. So it is tried at the start, and only
 * what works is offered to the debugger. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ringside/ringside.h"

enum { kRamSize = 64 << 10, kStart = 0x1000, kBreakpoints = 4, kDr6Step = 1 << 14 };

/* again: inc eax; mov [0x2000], eax; nop; jmp again. With 32-bit addresses, flat, without paging.
 */
static const uint8_t kProgram[] = {0x40, 0xa3, 0x00, 0x20, 0x00, 0x00, 0x90, 0xeb, 0xf7};

struct machine {
  int vm, vcpu;
  struct kvm_run* run;
  size_t run_size;
  uint8_t* ram;
  int event_fd; /* counts what take_event() may look for */
  pthread_t thread;

  /* What this KVM can do. */
  bool steps, breaks, exits_at_int3;

  /* Set by the debugger while the vCPU is out of the guest, and read by the thread. */
  bool step, int3_exit;
  uint64_t breakpoint[kBreakpoints];
  bool is_set[kBreakpoints];
  bool at_breakpoint; /* it has been told of the one where the vCPU stands */

  /* Under `lock` from here on. */
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool in_guest, suspended, halted, quits;
  bool has_event, stop_instead_of_death, has_ended;
  ringside_event event;
  const char* end_text;
};

static void check(int result, const char* what) {
  if (result >= 0) return;
  fprintf(stderr, "kvm_vmm: %s: %s\n", what, strerror(errno));
  exit(4);
}

/* ---- The machine */

static void create(struct machine* m, int kvm) {
  memset(m, 0, sizeof *m);
  m->vm = ioctl(kvm, KVM_CREATE_VM, 0);
  check(m->vm, "KVM_CREATE_VM");
  m->ram = mmap(NULL, kRamSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  check(m->ram == MAP_FAILED ? -1 : 0, "memory");
  struct kvm_userspace_memory_region region = {.memory_size = kRamSize,
                                               .userspace_addr = (uint64_t)(uintptr_t)m->ram};
  check(ioctl(m->vm, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
  m->vcpu = ioctl(m->vm, KVM_CREATE_VCPU, 0);
  check(m->vcpu, "KVM_CREATE_VCPU");
  const int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
  check(size, "KVM_GET_VCPU_MMAP_SIZE");
  m->run_size = (size_t)size;
  m->run = mmap(NULL, m->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, m->vcpu, 0);
  check(m->run == MAP_FAILED ? -1 : 0, "the vCPU's page");

  struct kvm_sregs system;
  check(ioctl(m->vcpu, KVM_GET_SREGS, &system), "KVM_GET_SREGS");
  struct kvm_segment data = {
      .limit = 0xffffffff, .selector = 0x10, .type = 3, .present = 1, .db = 1, .s = 1, .g = 1};
  system.ds = system.es = system.fs = system.gs = system.ss = data;
  system.cs = data;
  system.cs.selector = 8;
  system.cs.type = 11;
  system.cr0 |= 1;
  check(ioctl(m->vcpu, KVM_SET_SREGS, &system), "KVM_SET_SREGS");
}

static void enter_program(struct machine* m, const uint8_t* code, size_t size) {
  memcpy(m->ram + kStart, code, size);
  struct kvm_regs registers = {.rip = kStart, .rflags = 2, .rsp = kRamSize};
  check(ioctl(m->vcpu, KVM_SET_REGS, &registers), "KVM_SET_REGS");
}

static void destroy(struct machine* m) {
  munmap(m->run, m->run_size);
  munmap(m->ram, kRamSize);
  close(m->vcpu);
  close(m->vm);
}

/* What KVM is to stop for. The debug registers that it gets are not those that the guest sees. */
static void set_debug(struct machine* m, bool step, bool breakpoints) {
  struct kvm_guest_debug debug;
  memset(&debug, 0, sizeof debug);
  if (step) debug.control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP;
  if (m->int3_exit) debug.control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP;
  for (int i = 0; breakpoints && i < kBreakpoints; ++i) {
    if (!m->is_set[i]) continue;
    debug.control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP;
    debug.arch.debugreg[i] = m->breakpoint[i];
    debug.arch.debugreg[7] |= 0x400 | 2ull << (2 * i); /* Gi; execution, one byte (SDM 3B 17.2.4) */
  }
  check(ioctl(m->vcpu, KVM_SET_GUEST_DEBUG, &debug), "KVM_SET_GUEST_DEBUG");
}

static uint64_t get_rip(struct machine* m) {
  struct kvm_regs registers;
  check(ioctl(m->vcpu, KVM_GET_REGS, &registers), "KVM_GET_REGS");
  return registers.rip;
}

/* On some processors a trap comes before the instruction, when that is the first to reach a page;
 * the instruction is executed the next time. So a step that leaves RIP where it was is made again,
 * but not for ever: a jump may lead to itself. */
enum { kStepsOnTheSpot = 32 };

/* Tries with a guest of three instructions what this KVM does. */
static void probe(struct machine* m, int kvm) {
  static const uint8_t kNops[] = {0x90, 0x90, 0xf4}, kInt3[] = {0x90, 0xcc, 0xf4};
  struct machine trial;
  create(&trial, kvm);
  enter_program(&trial, kNops, sizeof kNops);
  set_debug(&trial, true, false);
  for (int i = 0; i < kStepsOnTheSpot && get_rip(&trial) == kStart; ++i)
    m->steps = ioctl(trial.vcpu, KVM_RUN, 0) == 0 && trial.run->exit_reason == KVM_EXIT_DEBUG;
  m->steps = m->steps && get_rip(&trial) == kStart + 1;

  enter_program(&trial, kNops, sizeof kNops);
  trial.breakpoint[0] = kStart + 1;
  trial.is_set[0] = true;
  set_debug(&trial, false, true);
  /* One that the debugger has been told of is passed by a step. */
  m->breaks = m->steps && ioctl(trial.vcpu, KVM_RUN, 0) == 0 &&
              trial.run->exit_reason == KVM_EXIT_DEBUG && get_rip(&trial) == kStart + 1;

  enter_program(&trial, kInt3, sizeof kInt3);
  trial.int3_exit = true;
  set_debug(&trial, false, false);
  m->exits_at_int3 = ioctl(trial.vcpu, KVM_RUN, 0) == 0 &&
                     trial.run->exit_reason == KVM_EXIT_DEBUG &&
                     trial.run->debug.arch.exception == 3 && get_rip(&trial) == kStart + 1;
  destroy(&trial);
}

/* ---- The vCPU's thread */

/* The vCPU is out of the guest because of this. The lock is held. */
static void leave(struct machine* m, int kind, uint64_t address, const char* text) {
  m->event.kind = kind;
  m->event.address = address;
  m->event.text = text;
  m->has_event = true;
  m->in_guest = false;
}

static void die(struct machine* m, const char* text) {
  if (m->stop_instead_of_death) {
    leave(m, RINGSIDE_EVENT_DEAD, 0, text);
    return;
  }
  m->in_guest = false;
  m->has_ended = true;
  m->end_text = text;
}

static bool has_stepped(const struct machine* m) {
  return m->run->debug.arch.exception == 1 && (m->run->debug.arch.dr6 & kDr6Step) != 0;
}

static void handle_debug_exit(struct machine* m) {
  const uint64_t pc = m->run->debug.arch.pc;
  for (int i = 0; i < kBreakpoints && !has_stepped(m); ++i)
    if (m->is_set[i] && m->breakpoint[i] == pc) m->at_breakpoint = true;
  if (m->run->debug.arch.exception == 3)
    leave(m, RINGSIDE_EVENT_BREAKPOINT, pc, NULL);
  else if (m->at_breakpoint)
    leave(m, RINGSIDE_EVENT_HARDWARE_BREAKPOINT, pc, NULL);
  else if (m->step)
    leave(m, RINGSIDE_EVENT_MONITOR_TRAP, pc, NULL);
}

/* Into the guest and out of it. The lock is held, but not while it is there. */
static void enter_guest(struct machine* m, int* on_the_spot) {
  /* From the breakpoint that the debugger knows of, over its instruction. */
  const bool is_passing = m->at_breakpoint;
  const uint64_t from = get_rip(m);
  set_debug(m, m->step || is_passing, !is_passing);
  pthread_mutex_unlock(&m->lock);
  const int result = ioctl(m->vcpu, KVM_RUN, 0);
  const int error = errno;
  pthread_mutex_lock(&m->lock);
  if (result < 0) {
    if (error != EINTR && error != EAGAIN) die(m, strerror(error));
    return;
  }
  const bool is_debug_exit = m->run->exit_reason == KVM_EXIT_DEBUG;
  if (is_debug_exit && has_stepped(m) && get_rip(m) == from && ++*on_the_spot < kStepsOnTheSpot)
    return;
  m->at_breakpoint = false;
  const bool has_passed = is_passing && !m->step && has_stepped(m);
  if (is_debug_exit && !has_passed)
    handle_debug_exit(m);
  else if (m->run->exit_reason == KVM_EXIT_HLT)
    m->halted = true;
  else if (m->run->exit_reason == KVM_EXIT_SHUTDOWN)
    die(m, "triple fault");
  else if (!is_debug_exit)
    die(m, "KVM cannot go on");
}

/* Until the vCPU has an event, or the machine has ended. The lock is held. */
static void run_guest(struct machine* m) {
  int on_the_spot = 0;
  while (m->in_guest) {
    if (m->suspended)
      leave(m, RINGSIDE_EVENT_PARKED, 0, NULL);
    else if (m->halted) /* nothing interrupts this machine */
      pthread_cond_wait(&m->changed, &m->lock);
    else
      enter_guest(m, &on_the_spot);
  }
}

static void* run_thread(void* user) {
  struct machine* const m = user;
  const uint64_t one = 1;
  pthread_mutex_lock(&m->lock);
  while (!m->quits) {
    if (!m->in_guest || m->has_ended) {
      pthread_cond_wait(&m->changed, &m->lock);
      continue;
    }
    run_guest(m);
    check((int)write(m->event_fd, &one, sizeof one), "eventfd");
  }
  pthread_mutex_unlock(&m->lock);
  return NULL;
}

/* ---- Registers, only while the vCPU is out of the guest. Without x87 and SSE, which the guest
 * does not use: a debugger sees them as after RESET. */

/* In the order of their encoding. */
struct gprs {
  __u64* at[16];
};
static struct gprs gprs_of(struct kvm_regs* r) {
  const struct gprs all = {{&r->rax, &r->rcx, &r->rdx, &r->rbx, &r->rsp, &r->rbp, &r->rsi, &r->rdi,
                            &r->r8, &r->r9, &r->r10, &r->r11, &r->r12, &r->r13, &r->r14, &r->r15}};
  return all;
}

static ringside_segment from_segment(const struct kvm_segment* s) {
  const ringside_segment result = {
      .base = s->base,
      .limit = s->limit,
      .selector = s->selector,
      .attributes = (uint16_t)(s->type | s->s << 4 | s->dpl << 5 | s->present << 7 | s->avl << 12 |
                               s->l << 13 | s->db << 14 | s->g << 15)};
  return result;
}

static struct kvm_segment to_segment(const ringside_segment* s) {
  const unsigned a = s->attributes;
  struct kvm_segment result = {.base = s->base, .limit = s->limit, .selector = s->selector};
  result.type = a & 15;
  result.s = a >> 4 & 1;
  result.dpl = a >> 5 & 3;
  result.present = a >> 7 & 1;
  result.avl = a >> 12 & 1;
  result.l = a >> 13 & 1;
  result.db = a >> 14 & 1;
  result.g = a >> 15 & 1;
  result.unusable = !result.present;
  return result;
}

static ringside_status get_state(void* user, uint32_t vcpu, ringside_cpu_state* state) {
  struct machine* const m = user;
  struct kvm_regs r;
  struct kvm_sregs s;
  (void)vcpu;
  if (ioctl(m->vcpu, KVM_GET_REGS, &r) < 0 || ioctl(m->vcpu, KVM_GET_SREGS, &s) < 0)
    return RINGSIDE_SYSTEM;
  for (int i = 0; i < 16; ++i)
    state->gpr[i] = *gprs_of(&r).at[i];
  state->rip = r.rip;
  state->rflags = r.rflags;
  const struct kvm_segment* const segment[6] = {&s.es, &s.cs, &s.ss, &s.ds, &s.fs, &s.gs};
  for (int i = 0; i < 6; ++i)
    state->segment[i] = from_segment(segment[i]);
  state->ldtr = from_segment(&s.ldt);
  state->tr = from_segment(&s.tr);
  state->gdtr.base = s.gdt.base;
  state->gdtr.limit = s.gdt.limit;
  state->idtr.base = s.idt.base;
  state->idtr.limit = s.idt.limit;
  state->cr0 = s.cr0;
  state->cr2 = s.cr2;
  state->cr3 = s.cr3;
  state->cr4 = s.cr4;
  state->cr8 = s.cr8;
  state->efer = s.efer;
  state->apic_base = s.apic_base;
  return RINGSIDE_OK;
}

static ringside_status set_state(void* user, uint32_t vcpu, const ringside_cpu_state* state) {
  struct machine* const m = user;
  struct kvm_regs r = {.rip = state->rip, .rflags = state->rflags};
  struct kvm_sregs s;
  (void)vcpu;
  for (int i = 0; i < 16; ++i)
    *gprs_of(&r).at[i] = state->gpr[i];
  const bool moves = get_rip(m) != state->rip;
  if (ioctl(m->vcpu, KVM_GET_SREGS, &s) < 0) return RINGSIDE_SYSTEM;
  struct kvm_segment* const segment[6] = {&s.es, &s.cs, &s.ss, &s.ds, &s.fs, &s.gs};
  for (int i = 0; i < 6; ++i)
    *segment[i] = to_segment(&state->segment[i]);
  s.ldt = to_segment(&state->ldtr);
  s.tr = to_segment(&state->tr);
  s.gdt.base = state->gdtr.base;
  s.gdt.limit = state->gdtr.limit;
  s.idt.base = state->idtr.base;
  s.idt.limit = state->idtr.limit;
  s.cr0 = state->cr0;
  s.cr2 = state->cr2;
  s.cr3 = state->cr3;
  s.cr4 = state->cr4;
  s.cr8 = state->cr8;
  s.efer = state->efer;
  if (ioctl(m->vcpu, KVM_SET_SREGS, &s) < 0 || ioctl(m->vcpu, KVM_SET_REGS, &r) < 0)
    return RINGSIDE_BAD_REQUEST;
  if (moves) {
    pthread_mutex_lock(&m->lock);
    m->halted = false;
    m->at_breakpoint = false;
    pthread_mutex_unlock(&m->lock);
  }
  return RINGSIDE_OK;
}

static ringside_status access_msr(struct machine* m, unsigned long request, uint32_t number,
                                  uint64_t* value) {
  struct kvm_msrs* const msrs = calloc(1, sizeof *msrs + sizeof msrs->entries[0]);
  if (msrs == NULL) return RINGSIDE_NO_MEMORY;
  msrs->nmsrs = 1;
  msrs->entries[0].index = number;
  msrs->entries[0].data = *value;
  const int count = ioctl(m->vcpu, request, msrs);
  *value = msrs->entries[0].data;
  free(msrs);
  return count == 1 ? RINGSIDE_OK : RINGSIDE_NOT_FOUND;
}
static ringside_status read_msr(void* user, uint32_t vcpu, uint32_t number, uint64_t* value) {
  (void)vcpu;
  *value = 0;
  return access_msr(user, KVM_GET_MSRS, number, value);
}
static ringside_status write_msr(void* user, uint32_t vcpu, uint32_t number, uint64_t value) {
  (void)vcpu;
  return access_msr(user, KVM_SET_MSRS, number, &value);
}

/* ---- The other callbacks */

static uint32_t vcpu_count(void* user) {
  (void)user;
  return 1;
}

/* A flag that the thread sets as well. */
static bool read_flag(struct machine* m, const bool* flag) {
  pthread_mutex_lock(&m->lock);
  const bool result = *flag;
  pthread_mutex_unlock(&m->lock);
  return result;
}
static bool in_guest(void* user, uint32_t vcpu) {
  (void)vcpu;
  return read_flag(user, &((struct machine*)user)->in_guest);
}
static bool halted(void* user, uint32_t vcpu) {
  (void)vcpu;
  return read_flag(user, &((struct machine*)user)->halted);
}

static bool is_in_ram(uint64_t address, size_t size) {
  return address <= kRamSize && size <= kRamSize - address;
}
static ringside_status read_memory(void* user, uint64_t address, void* to, size_t size) {
  if (!is_in_ram(address, size)) return RINGSIDE_BAD_ADDRESS;
  memcpy(to, ((struct machine*)user)->ram + address, size);
  return RINGSIDE_OK;
}
static ringside_status write_memory(void* user, uint64_t address, const void* from, size_t size) {
  if (!is_in_ram(address, size)) return RINGSIDE_BAD_ADDRESS;
  memcpy(((struct machine*)user)->ram + address, from, size);
  return RINGSIDE_OK;
}

/* immediate_exit keeps KVM_RUN from entering the guest, also where the signal comes just before it;
 * the signal brings the thread out of the guest where it is there already. */
static void suspend(void* user, uint32_t vcpu) {
  struct machine* const m = user;
  (void)vcpu;
  pthread_mutex_lock(&m->lock);
  if (m->in_guest) {
    m->suspended = true;
    m->run->immediate_exit = 1;
    pthread_cond_signal(&m->changed);
    pthread_kill(m->thread, SIGUSR1);
  }
  pthread_mutex_unlock(&m->lock);
}

static void resume(void* user, uint32_t vcpu) {
  struct machine* const m = user;
  (void)vcpu;
  pthread_mutex_lock(&m->lock);
  m->in_guest = true;
  m->suspended = false;
  m->run->immediate_exit = 0;
  pthread_cond_signal(&m->changed);
  pthread_mutex_unlock(&m->lock);
}

static bool take_event(void* user, ringside_event* event) {
  struct machine* const m = user;
  uint64_t count;
  if (read(m->event_fd, &count, sizeof count) < 0) count = 0; /* before the look */
  pthread_mutex_lock(&m->lock);
  const bool result = m->has_event;
  if (result) {
    event->kind = m->event.kind;
    event->address = m->event.address;
    event->text = m->event.text;
    m->has_event = false;
  }
  pthread_mutex_unlock(&m->lock);
  return result;
}

static int event_fd(void* user) { return ((struct machine*)user)->event_fd; }

static bool offers(void* user, uint32_t vcpu, int32_t capability) {
  const struct machine* const m = user;
  (void)vcpu;
  if (capability == RINGSIDE_BREAKPOINT_EXIT) return m->exits_at_int3;
  return capability == RINGSIDE_MONITOR_TRAP && m->steps;
}

static ringside_status set_capability(void* user, uint32_t vcpu, int32_t capability, bool on) {
  struct machine* const m = user;
  (void)vcpu;
  if (capability == RINGSIDE_MONITOR_TRAP) m->step = on;
  if (capability == RINGSIDE_BREAKPOINT_EXIT) m->int3_exit = on;
  return RINGSIDE_OK;
}

/* Only the guest's own int3 comes back, from where KVM has just met it. */
static ringside_status inject_exception(void* user, uint32_t vcpu,
                                        const ringside_exception* exception) {
  struct machine* const m = user;
  struct kvm_guest_debug debug;
  (void)vcpu;
  if (exception->vector != 3) return RINGSIDE_NOT_SUPPORTED;
  memset(&debug, 0, sizeof debug);
  debug.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_INJECT_BP;
  if (ioctl(m->vcpu, KVM_SET_GUEST_DEBUG, &debug) == 0) return RINGSIDE_OK;
  return errno == EBUSY ? RINGSIDE_BUSY : RINGSIDE_SYSTEM;
}

static ringside_status insert_breakpoint(void* user, uint64_t address) {
  struct machine* const m = user;
  for (int i = 0; i < kBreakpoints; ++i) {
    if (m->is_set[i]) continue;
    m->breakpoint[i] = address;
    m->is_set[i] = true;
    return RINGSIDE_OK;
  }
  return RINGSIDE_BUSY;
}

static ringside_status remove_breakpoint(void* user, uint64_t address) {
  struct machine* const m = user;
  for (int i = 0; i < kBreakpoints; ++i) {
    if (!m->is_set[i] || m->breakpoint[i] != address) continue;
    m->is_set[i] = false;
    return RINGSIDE_OK;
  }
  return RINGSIDE_NOT_FOUND;
}

static bool ended(void* user, ringside_end* end) {
  struct machine* const m = user;
  if (!read_flag(m, &m->has_ended)) return false;
  end->kind = RINGSIDE_END_ERROR;
  end->text = m->end_text; /* stays from here on */
  return true;
}

static void stop_instead_of_death(void* user, bool on) {
  struct machine* const m = user;
  pthread_mutex_lock(&m->lock);
  m->stop_instead_of_death = on;
  pthread_mutex_unlock(&m->lock);
}

static void wake_up(int signal) { (void)signal; }

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "kvm_vmm: give one argument, where to listen: 1234, unix:/tmp/vmm, stdio\n");
    return 4;
  }
  const int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
  check(kvm, "/dev/kvm");
  struct machine m;
  create(&m, kvm);
  probe(&m, kvm);
  fprintf(stderr, "kvm_vmm: this KVM steps: %s, has breakpoints: %s, exits at int3: %s\n",
          m.steps ? "yes" : "no", m.breaks ? "yes" : "no", m.exits_at_int3 ? "yes" : "no");
  enter_program(&m, kProgram, sizeof kProgram);

  const struct sigaction action = {.sa_handler = wake_up}; /* without SA_RESTART */
  check(sigaction(SIGUSR1, &action, NULL), "sigaction");
  m.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  check(m.event_fd, "eventfd");
  pthread_mutex_init(&m.lock, NULL);
  pthread_cond_init(&m.changed, NULL);
  check(-pthread_create(&m.thread, NULL, run_thread, &m), "the vCPU's thread");

  ringside_vm_callbacks calls = {.size = sizeof calls,
                                 .vcpu_count = vcpu_count,
                                 .in_guest = in_guest,
                                 .get_state = get_state,
                                 .set_state = set_state,
                                 .read_memory = read_memory,
                                 .write_memory = write_memory,
                                 .suspend = suspend,
                                 .resume = resume,
                                 .take_event = take_event,
                                 .event_fd = event_fd,
                                 .halted = halted,
                                 .offers = offers,
                                 .set_capability = set_capability,
                                 .inject_exception = inject_exception,
                                 .read_msr = read_msr,
                                 .write_msr = write_msr,
                                 .ended = ended,
                                 .stop_instead_of_death = stop_instead_of_death};
  if (m.breaks) {
    calls.insert_breakpoint = insert_breakpoint;
    calls.remove_breakpoint = remove_breakpoint;
  }
  ringside_endpoint* debugger;
  if (ringside_open(&calls, &m, argv[1], NULL, &debugger) != RINGSIDE_OK) {
    fprintf(stderr, "kvm_vmm: %s\n", ringside_last_error(NULL));
    return 4;
  }
  fprintf(stderr, "gdb: listening on %s\n", ringside_where(debugger));
  ringside_end end = {.size = sizeof end};
  ringside_status status = ringside_start(debugger);
  while (status == RINGSIDE_OK && !ended(&m, &end) && !ringside_wants_vm_end(debugger))
    status = ringside_serve(debugger, -1);
  if (status != RINGSIDE_OK) fprintf(stderr, "kvm_vmm: %s\n", ringside_last_error(debugger));
  if (ended(&m, &end)) fprintf(stderr, "kvm_vmm: the guest has ended: %s\n", end.text);
  ringside_close(debugger);

  suspend(&m, 0);
  pthread_mutex_lock(&m.lock);
  m.quits = true;
  pthread_cond_signal(&m.changed);
  pthread_mutex_unlock(&m.lock);
  pthread_join(m.thread, NULL);
  close(m.event_fd);
  destroy(&m);
  close(kvm);
  return status == RINGSIDE_OK ? 0 : 4;
}
