// What is agreed and chosen in one client's session. A new client begins with a new one: nothing of
// the last client's choices is left. Plain data, owned by the debugger.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "debug/memory/shadowed_memory.h"
#include "debug/target/pc_view.h"
#include "ringside/types.h"
#include "ringside/x86/cpu_state.h"
#include "rsp/reply.h"

namespace ringside::debug {

// The one process, where processes are spoken of.
inline constexpr std::uint64_t kProcess = 1;

// What a step leaves out, in QEMU's bits.
namespace step_mask {
inline constexpr std::uint64_t kEnable = 1, kNoInterrupts = 2, kNoTimers = 4,
                               kAll = kEnable | kNoInterrupts | kNoTimers;
}

// To a client that looks, of what it may not do.
inline constexpr std::string_view kOnlyLooks =
    "another debugger has the machine, and this one only looks; 'monitor control' takes it over "
    "once that has gone";

struct Session {
  // One client controls the machine. Others look at it: what would change anything is refused to
  // them.
  enum class Role : std::uint8_t { Controls, Looks } role = Role::Controls;
  // To one that looks: somebody controls the machine now.
  bool controlled = false;
  // One that looks wants the machine, which nobody controls.
  bool wants_control = false;
  // And what it is told where it may not.
  std::string_view refusal = kOnlyLooks;

  // The vCPU that g, p, m and so on mean, and s too, unless Hc has chosen another one for it. To a
  // client that has never sent Hg both are one (docs/model.md, row 18).
  VcpuId current{0};
  std::optional<VcpuId> resumed;  // by Hc, since the last stop
  bool has_chosen = false;        // by Hg
  // Whom the last stop reply named.
  VcpuId reported{0};
  // Whose steps back bs means, where clients resume by vCont and Hc is for going back alone. GDB
  // chooses once, and looks at others by Hg in between. It chooses anyone, as long as the user has
  // not locked the scheduler, and means who has stopped.
  enum class Back : std::uint8_t { Current, Reported, Chosen } back = Back::Current;
  VcpuId chosen{0};

  // Agreed by qSupported.
  bool swbreak = false;
  bool hwbreak = false;
  bool multiprocess = false;
  rsp::ErrorStyle error_style = rsp::ErrorStyle::Number;

  // The client has read target.xml, so its g is the whole table.
  bool full_registers = false;
  // The client wants RIP as a linear address, once it has read the description (monitor linear-pc).
  bool linear_pc = true;
  // The client has asked for the list of libraries, so that it may be told of changes.
  bool reads_libraries = false;
  // Where the guest is when it has changed; empty unless the client wants to hear of it
  // (monitor modules watch).
  std::vector<Gva> library_events;
  // The client resumes by vCont, so it wants to know whose a stop is.
  bool vcont = false;
  bool no_ack = false;
  // The client wants every vCPU stopped and told of by itself.
  bool non_stop = false;
  std::uint64_t steps = step_mask::kAll;
  Addresses addresses;
  // The signal of the last stop report without a vCPU.
  std::uint8_t signal = 5;
  // LLDB: stop replies have all threads with their instruction pointers, and why they stopped in
  // its words.
  bool lists_threads = false;
  // What LLDB has had saved and not restored yet, the eldest first.
  struct SavedRegisters {
    std::uint32_t number = 0;
    VcpuId vcpu;
    x86::CpuState state;
  };
  std::vector<SavedRegisters> saved;
  std::uint32_t last_saved = 0;
  // The client may detach, kill, attach and run again within one connection.
  bool extended = false;
  // The client has the machine. Otherwise, in extended mode, that runs as if nobody were there.
  bool attached = true;
  // A vCPU has died, and has not been resumed since: the machine would end with it.
  bool dead = false;
  // Of a recorded frame its number of all times (trace::Frame): registers and memory are its own.
  // Otherwise they are the machine's.
  std::optional<std::uint64_t> frame;
  // How many tracepoints, and trace state variables, have been told of those that there are.
  std::size_t told_tracepoints = 0;
  std::size_t told_variables = 0;
  // D or k was served: nothing more is.
  bool over = false;

  PcView pc_view() const { return full_registers && linear_pc ? PcView::Linear : PcView::Offset; }
  bool names_threads() const { return multiprocess || vcont; }
};

}  // namespace ringside::debug
