// Every request of the GDB remote protocol that ringside knows, as one closed variant, and `parse`,
// which makes it of a packet's payload (unframed and unescaped). A Request owns all its data, so it
// may outlive the packet. Pure values, any thread. Names after the GDB manual, "Packets" and
// "General Query Packets". To add a packet: a struct here, a line in the variant, and its parser in
// the family's file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "ringside/types.h"
#include "rsp/thread_id.h"

namespace ringside::rsp {

using Bytes = std::vector<std::byte>;

// ---- not served

// Not a packet that we know: the reply is empty, which tells the client not to use it. It is also
// the right reply to vMustReplyEmpty, which is therefore not a request of its own.
struct Unknown {};

// A packet that we know with wrong fields: E16, or a sentence. `reason` is a literal.
struct Malformed {
  std::string_view reason;
};

// ---- registers (registers.cc)

struct ReadRegisters {};  // g
struct WriteRegisters {   // G
  Bytes data;
};
struct ReadRegister {  // p
  std::uint64_t number = 0;
};
struct WriteRegister {  // P; in the guest's byte order
  std::uint64_t number = 0;
  Bytes data;
};

// ---- memory (memory.cc)

enum class MemoryEncoding { Hex, Binary };

struct ReadMemory {  // m, x. `length` is what the client wrote: anything up to 2^64-1.
  Gva address;
  std::uint64_t length = 0;
  MemoryEncoding encoding = MemoryEncoding::Hex;
};
struct WriteMemory {  // M, X; the packet's length field was checked against the data
  Gva address;
  Bytes data;
};
struct SearchMemory {  // qSearch:memory; the pattern is not empty
  Gva address;
  std::uint64_t length = 0;
  Bytes pattern;
};
struct ChecksumMemory {  // qCRC
  Gva address;
  std::uint64_t length = 0;
};

struct DescribeMemory {  // qMemoryRegionInfo, LLDB's: what is around an address
  Gva address;
};

// ---- run control (resume.cc)

struct QueryStop {};  // ?

enum class ResumeKind {
  Continue,   // c, C
  Step,       // s, S
  StepRange,  // vCont;r
  Stop,       // vCont;t
};

// c, C, s, S: on the thread chosen by Hc.
struct Resume {
  ResumeKind kind = ResumeKind::Continue;
  std::optional<std::uint8_t> signal;
  std::optional<Gva> address;  // where to resume; refused (docs/model.md, row 62)
};

struct ThreadAction {
  ResumeKind kind = ResumeKind::Continue;
  std::optional<std::uint8_t> signal;
  Gva range_start;  // StepRange: steps while range_start <= pc < range_end
  Gva range_end;
  std::optional<ThreadId> thread;  // none: every thread that no earlier action names
};
struct ResumeThreads {  // vCont; at least one action, in the client's order
  std::vector<ThreadAction> actions;
};
struct QueryResumeActions {};              // vCont?
struct ResumeBackward {                    // bs, bc: on the thread chosen by Hc
  ResumeKind kind = ResumeKind::Continue;  // or Step
};
struct Interrupt {};  // vCtrlC. A bare 0x03 is an event of the Decoder, not a packet.

struct SetNonStop {  // QNonStop:0|1
  bool on = false;
};
struct AcknowledgeStop {};  // vStopped: the last notification of a stop is taken, the next one?

// ---- breakpoints and watchpoints (breakpoints.cc)

enum class BreakpointType : std::uint8_t {
  Software = 0,
  Hardware = 1,
  WriteWatch = 2,
  ReadWatch = 3,
  AccessWatch = 4,
};

struct InsertBreakpoint {  // Z
  BreakpointType type = BreakpointType::Software;
  Gva address;
  std::uint64_t kind = 0;  // for watchpoints the length in bytes
  // Agent expressions. Each is a bytecode; several conditions are OR.
  std::vector<Bytes> conditions;
  std::vector<Bytes> commands;
  bool commands_persist = false;  // run on when the client is gone
};
struct RemoveBreakpoint {  // z
  BreakpointType type = BreakpointType::Software;
  Gva address;
  std::uint64_t kind = 0;
};

// ---- threads (threads.cc)

enum class ThreadUse { General, Resume };

struct SelectThread {  // Hg, Hc
  ThreadUse use = ThreadUse::General;
  ThreadId thread;
};
struct IsThreadAlive {  // T
  ThreadId thread;
};
struct CurrentThread {};    // qC
struct FirstThreads {};     // qfThreadInfo
struct MoreThreads {};      // qsThreadInfo
struct ThreadDescription {  // qThreadExtraInfo
  ThreadId thread;
};

// ---- session (session.cc)

enum class Support { Yes, No, Maybe, Value };  // name+ name- name? name=value

struct Feature {
  std::string name;
  Support support = Support::No;
  std::string value;
};
struct QuerySupported {  // qSupported
  std::vector<Feature> features;

  bool announces(std::string_view name) const;
  const Feature* find(std::string_view name) const;
};
struct StartNoAckMode {};  // QStartNoAckMode
struct QueryHost {};       // qHostInfo, LLDB's
struct QueryAttached {};   // qAttached, with or without a process
struct ExtendedMode {};    // !: the connection outlives a D or k, for vAttach, vRun and R
struct Attach {            // vAttach;pid
  std::uint64_t process = 0;
};
struct Run {};      // vRun;program;arguments, which a machine has of its own: has a reply
struct Restart {};  // RXX, of which XX means nothing: has none
struct Detach {     // D, D;pid
  std::optional<std::uint64_t> process;
};
struct Kill {};       // k: has no reply
struct KillProcess {  // vKill;pid: has one
  std::uint64_t process = 0;
};

// ---- queries with a body (transfer.cc, monitor.cc)

struct ReadTransfer {  // qXfer:OBJECT:read:ANNEX:OFFSET,LENGTH
  std::string object;
  std::string annex;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};
struct Monitor {  // qRcmd; decoded
  std::string command;
};

// ---- QEMU's packets (qemu.cc)

struct QueryPhysicalMode {};  // qqemu.PhyMemMode
struct SetPhysicalMode {      // Qqemu.PhyMemMode:0|1
  bool physical = false;
};
struct QueryStepBits {};  // qqemu.sstepbits: which bits there are
struct QueryStepMask {};  // qqemu.sstep: which are set
struct SetStepMask {      // Qqemu.sstep=
  std::uint64_t mask = 0;
};

using Request =
    std::variant<Unknown, Malformed, ReadRegisters, WriteRegisters, ReadRegister, WriteRegister,
                 ReadMemory, WriteMemory, SearchMemory, ChecksumMemory, DescribeMemory, QueryStop,
                 Resume, ResumeThreads, QueryResumeActions, ResumeBackward, Interrupt, SetNonStop,
                 AcknowledgeStop, InsertBreakpoint, RemoveBreakpoint, SelectThread, IsThreadAlive,
                 CurrentThread, FirstThreads, MoreThreads, ThreadDescription, QuerySupported,
                 StartNoAckMode, QueryHost, QueryAttached, ExtendedMode, Attach, Run, Restart,
                 Detach, Kill, KillProcess, ReadTransfer, Monitor, QueryPhysicalMode,
                 SetPhysicalMode, QueryStepBits, QueryStepMask, SetStepMask>;

// Total: every payload has a Request.
Request parse(std::string_view payload);

}  // namespace ringside::rsp
