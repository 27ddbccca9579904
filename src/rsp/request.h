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
#include <type_traits>
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

// `thread` is LLDB's suffix to these; none: the one that Hg chose.
struct ReadRegisters {  // g
  std::optional<ThreadId> thread = {};
};
struct WriteRegisters {  // G
  Bytes data;
  std::optional<ThreadId> thread = {};
};
struct ReadRegister {  // p
  std::uint64_t number = 0;
  std::optional<ThreadId> thread = {};
};
struct WriteRegister {  // P; in the guest's byte order
  std::uint64_t number = 0;
  Bytes data;
  std::optional<ThreadId> thread = {};
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
struct QueryOffsets {};  // qOffsets: where the program is that GDB has read, if it was moved
struct Monitor {         // qRcmd; decoded
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

// ---- tracepoints (trace.cc). A tracepoint is known by number and address: one number may have
// several places.

struct TraceAction {
  enum class Kind : std::uint8_t {
    Registers,   // R mask: all of them, whatever the mask
    Memory,      // M base,offset,length
    Expression,  // X length,bytecode
  };
  Kind kind = Kind::Registers;
  std::optional<std::uint64_t> base;  // Memory: the register that `offset` is added to
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  Bytes code;  // Expression
  friend bool operator==(const TraceAction&, const TraceAction&) = default;
};

struct ClearTracepoints {};  // QTinit
struct DefineTracepoint {    // QTDP:number:address:E|D:steps:pass[:F…][:S][:X…][-]
  std::uint64_t number = 0;
  Gva address;
  bool enabled = true;
  std::uint64_t steps = 0;  // while-stepping
  std::uint64_t pass = 0;   // so many hits end the trace; 0: none does
  enum class Kind : std::uint8_t { Trap, Fast, Static } kind = Kind::Trap;
  std::uint64_t fast_length = 0;  // of the instruction that a Fast one would replace
  std::optional<Bytes> condition;
};
struct AddTraceActions {  // QTDP:-number:address:[S]actions[-]
  std::uint64_t number = 0;
  Gva address;
  bool while_stepping = false;  // from these on they are those of the steps
  std::vector<TraceAction> actions;
};
struct AddTraceSource {  // QTDPsrc: a piece of what the user has typed
  std::uint64_t number = 0;
  Gva address;
  std::string type;  // at, cond, cmd
  std::uint64_t start = 0;
  std::uint64_t total = 0;
  std::string text;
};
struct DefineTraceVariable {  // QTDV
  std::uint64_t number = 0;
  std::int64_t value = 0;
  bool builtin = false;
  std::string name;
};
struct ReadTraceVariable {  // qTV
  std::uint64_t number = 0;
};
struct EnableTracepoint {  // QTEnable, QTDisable
  std::uint64_t number = 0;
  Gva address;
  bool enable = true;
};
struct SetReadOnlyMemory {  // QTro: what frames need not have, because it does not change
  struct Range {
    Gva start, end;
  };
  std::vector<Range> ranges;
};
struct StartTrace {};     // QTStart
struct StopTrace {};      // QTStop
struct QueryTrace {};     // qTStatus
struct QueryTracepoint {  // qTP
  std::uint64_t number = 0;
  Gva address;
};
struct FirstTracepoints {};     // qTfP
struct MoreTracepoints {};      // qTsP
struct FirstTraceVariables {};  // qTfV
struct MoreTraceVariables {};   // qTsV
struct SelectFrame {            // QTFrame
  enum class By : std::uint8_t {
    Number,
    Pc,          // the next one there
    Tracepoint,  // the next one of it
    Range,       // the next one with first <= pc <= last
    Outside,
  };
  By by = By::Number;
  std::optional<std::uint64_t> number;  // Number: none is the machine itself. Tracepoint: which
  Gva first;                            // Pc: it
  Gva last;
};
struct ReadTraceBuffer {  // qTBuffer
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};
struct SetTraceRing {  // QTBuffer:circular
  bool circular = false;
};
struct SetTraceSize {                 // QTBuffer:size
  std::optional<std::uint64_t> size;  // none: as the server likes
};
struct SaveTrace {  // QTSave
  std::string name;
};
struct SetDisconnectedTracing {  // QTDisconnected
  bool on = false;
};
struct SetTraceNotes {  // QTNotes: those that are named
  std::optional<std::string> user, notes, stop;
};
struct QueryFastTracepoints {};  // qTMinFTPILen

// ---- LLDB's packets (lldb.cc)

struct EnableThreadSuffix {};      // QThreadSuffixSupported
struct EnableThreadList {};        // QListThreadsInStopReply
struct EnableErrorStrings {};      // QEnableErrorStrings
struct QueryProcess {};            // qProcessInfo
struct QueryServerVersion {};      // qGDBServerVersion
struct QueryWatchpointSupport {};  // qWatchpointSupportInfo
struct QueryThreadStop {           // qThreadStopInfo: a stop reply for one thread
  ThreadId thread;
};
struct QueryThreadStops {};  // jThreadsInfo: of all threads, in JSON
struct SaveRegisters {       // QSaveRegisterState
  std::optional<ThreadId> thread = {};
};
struct RestoreRegisters {  // QRestoreRegisterState
  std::uint64_t number = 0;
  std::optional<ThreadId> thread = {};
};
struct AllocateMemory {};  // _M, _m: memory of the debugger's own in the guest
struct MemorySpan {
  Gva address;
  std::uint64_t length = 0;
};
struct ReadMemorySpans {  // MultiMemRead
  std::vector<MemorySpan> spans;
};
// Z or z within jMultiBreakpoint.
using BreakpointRequest = std::variant<Unknown, Malformed, InsertBreakpoint, RemoveBreakpoint>;
struct ChangeBreakpoints {  // jMultiBreakpoint; in this order
  std::vector<BreakpointRequest> requests;
};

using Request = std::variant<
    Unknown, Malformed, ReadRegisters, WriteRegisters, ReadRegister, WriteRegister, ReadMemory,
    WriteMemory, SearchMemory, ChecksumMemory, DescribeMemory, QueryStop, Resume, ResumeThreads,
    QueryResumeActions, ResumeBackward, Interrupt, SetNonStop, AcknowledgeStop, InsertBreakpoint,
    RemoveBreakpoint, SelectThread, IsThreadAlive, CurrentThread, FirstThreads, MoreThreads,
    ThreadDescription, QuerySupported, StartNoAckMode, QueryHost, QueryAttached, ExtendedMode,
    Attach, Run, Restart, Detach, Kill, KillProcess, ReadTransfer, QueryOffsets, Monitor,
    QueryPhysicalMode, SetPhysicalMode, QueryStepBits, QueryStepMask, SetStepMask, ClearTracepoints,
    DefineTracepoint, AddTraceActions, AddTraceSource, DefineTraceVariable, ReadTraceVariable,
    EnableTracepoint, SetReadOnlyMemory, StartTrace, StopTrace, QueryTrace, QueryTracepoint,
    FirstTracepoints, MoreTracepoints, FirstTraceVariables, MoreTraceVariables, SelectFrame,
    ReadTraceBuffer, SetTraceRing, SetTraceSize, SaveTrace, SetDisconnectedTracing, SetTraceNotes,
    QueryFastTracepoints, EnableThreadSuffix, EnableThreadList, EnableErrorStrings, QueryProcess,
    QueryServerVersion, QueryWatchpointSupport, QueryThreadStop, QueryThreadStops, SaveRegisters,
    RestoreRegisters, AllocateMemory, ReadMemorySpans, ChangeBreakpoints>;

// Whether it is about tracepoints.
template <typename R>
inline constexpr bool kOfTracing =
    std::is_same_v<R, ClearTracepoints> || std::is_same_v<R, DefineTracepoint> ||
    std::is_same_v<R, AddTraceActions> || std::is_same_v<R, AddTraceSource> ||
    std::is_same_v<R, DefineTraceVariable> || std::is_same_v<R, ReadTraceVariable> ||
    std::is_same_v<R, EnableTracepoint> || std::is_same_v<R, SetReadOnlyMemory> ||
    std::is_same_v<R, StartTrace> || std::is_same_v<R, StopTrace> ||
    std::is_same_v<R, QueryTrace> || std::is_same_v<R, QueryTracepoint> ||
    std::is_same_v<R, FirstTracepoints> || std::is_same_v<R, MoreTracepoints> ||
    std::is_same_v<R, FirstTraceVariables> || std::is_same_v<R, MoreTraceVariables> ||
    std::is_same_v<R, SelectFrame> || std::is_same_v<R, ReadTraceBuffer> ||
    std::is_same_v<R, SetTraceRing> || std::is_same_v<R, SetTraceSize> ||
    std::is_same_v<R, SaveTrace> || std::is_same_v<R, SetDisconnectedTracing> ||
    std::is_same_v<R, SetTraceNotes> || std::is_same_v<R, QueryFastTracepoints>;

// Total: every payload has a Request.
Request parse(std::string_view payload);

}  // namespace ringside::rsp
