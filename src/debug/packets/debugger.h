// The meaning of requests: each becomes an answer, by what it does to the target and the session.
// One overload of serve() per request, in a file per family, named as the parsers in rsp/ are.
//
// Owned by the server; one thread. Knows neither bytes nor time: the server calls answer() when
// when() is fulfilled.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "debug/client/session.h"
#include "debug/client/work.h"
#include "debug/packets/greeter.h"
#include "debug/packets/scan.h"
#include "debug/target/target.h"
#include "ringside/options.h"
#include "ringside/time_travel.h"
#include "rsp/framing.h"
#include "rsp/reply.h"
#include "rsp/request.h"

namespace ringside::debug {

class Debugger {
 public:
  // An answer, or none: the stop report that comes later is it.
  using Answer = std::optional<std::string>;

  Debugger(Target& target, const ServerOptions& options);

  const Session& session() const { return session_; }
  bool kill_requested() const { return kill_requested_; }
  void begin_session() { session_ = {}; }
  // One that has begun as another debugger's, which looked.
  void begin_session(const Session& session);
  // One that looks.
  void begin_looking();
  // Of a session that has begun: the client has still to ask for the machine (vAttach).
  void wait_for_attach();
  // For qSupported.
  Abilities abilities() const;
  bool control_requested() const { return session_.wants_control; }
  void set_controlled(bool controlled) { session_.controlled = controlled; }
  // The vCPU that was current may be no thread any more.
  void forget_current() {
    session_.current = {0};
    session_.resumed.reset();
  }
  // The one teardown: for the end of a connection, D, k and shutdown.
  void end_session();

  // What a request has to wait for. The client cannot see that it does.
  enum class When {
    Now,
    Attached,  // the machine given to the client, and stopped
    Stopped,   // a stop that is under way
    Out,       // every vCPU out of the guest, for a moment if it runs
  };
  When when(const rsp::Request& request) const;
  // The machine is the client's, as it is but for an extended session that has detached.
  bool has_machine() const { return session_.attached && !session_.over; }
  Answer answer(const rsp::Request& request);

  // A request that takes long is under way: its answer comes from continue_scan(), a slice of work
  // at a time, and nothing else is answered meanwhile.
  bool scanning() const { return scan_ != nullptr; }
  Answer continue_scan();
  Answer give_up_scan();
  SignOfLife sign_of_life() { return scan_->sign_of_life(); }

  // A journey through the machine's past is under way, instead of a run of the guest: nothing else
  // is served until it has ended, in a stop report or in the present, from where the guest runs on.
  bool travelling() const { return trip_.has_value(); }
  // A slice of it; true once it has ended.
  bool continue_journey();
  void give_up_journey();

  // What belongs on the client's console before the answer that was just given.
  std::vector<std::string> take_before_answer() { return std::exchange(before_answer_, {}); }

  // What to send for the stop that has come due: its report, and before it what is to be said on
  // the debugger's console. The session's current vCPU follows it.
  std::vector<std::string> report_stop();
  // In non-stop mode: of this vCPU, as a notification has it.
  std::string report_stop(VcpuId vcpu);
  // Ctrl-C.
  void interrupt();
  // What to send for the end of the machine.
  std::vector<std::string> report_end(const hypervisor::VmEnd& end) const;
  // What says that ringside ends with this status.
  std::string exit_reply(int status) const;

 private:
  // Registers, memory and breakpoints of a vCPU exist only while it is out of the guest.
  static When when(const rsp::ReadRegisters&) { return When::Out; }
  static When when(const rsp::WriteRegisters&) { return When::Out; }
  static When when(const rsp::ReadRegister&) { return When::Out; }
  static When when(const rsp::WriteRegister&) { return When::Out; }
  static When when(const rsp::ReadMemory&) { return When::Out; }
  static When when(const rsp::WriteMemory&) { return When::Out; }
  static When when(const rsp::SearchMemory&) { return When::Out; }
  static When when(const rsp::ChecksumMemory&) { return When::Out; }
  static When when(const rsp::DescribeMemory&) { return When::Out; }
  static When when(const rsp::InsertBreakpoint&) { return When::Out; }
  static When when(const rsp::RemoveBreakpoint&) { return When::Out; }
  static When when(const rsp::QueryThreadStop&) { return When::Out; }
  static When when(const rsp::QueryThreadStops&) { return When::Out; }
  static When when(const rsp::SaveRegisters&) { return When::Out; }
  static When when(const rsp::RestoreRegisters&) { return When::Out; }
  static When when(const rsp::ReadMemorySpans&) { return When::Out; }
  static When when(const rsp::ChangeBreakpoints&) { return When::Out; }
  static When when(const rsp::Monitor&) { return When::Out; }
  // Tracepoints are the guest's while it runs.
  template <typename Request>
  requires rsp::kOfTracing<Request>
  static When when(const Request&) { return When::Out; }
  static When when(const rsp::QueryOffsets&) { return When::Out; }
  static When when(const rsp::QueryStop&) { return When::Stopped; }
  static When when(const rsp::Attach&) { return When::Attached; }
  static When when(const rsp::Run&) { return When::Attached; }
  static When when(const rsp::Restart&) { return When::Attached; }
  static When when(const rsp::SetNonStop&) { return When::Stopped; }
  static When when(const rsp::Resume&) { return When::Stopped; }
  static When when(const rsp::ResumeThreads&) { return When::Stopped; }
  static When when(const rsp::ResumeBackward&) { return When::Stopped; }
  template <typename Request>
  static When when(const Request&) {
    return When::Now;
  }

  Answer serve(const rsp::Unknown&) { return rsp::reply::empty(); }
  Answer serve(const rsp::Malformed&);

  Answer serve(const rsp::ReadRegisters&);
  Answer serve(const rsp::WriteRegisters&);
  Answer serve(const rsp::ReadRegister&);
  Answer serve(const rsp::WriteRegister&);

  Answer serve(const rsp::ReadMemory&);
  Answer serve(const rsp::WriteMemory&);
  Answer serve(const rsp::SearchMemory&);
  Answer serve(const rsp::ChecksumMemory&);
  Answer serve(const rsp::DescribeMemory&);
  Answer serve(const rsp::Monitor&);

  Answer serve(const rsp::QueryStop&);
  Answer serve(const rsp::Resume&);
  Answer serve(const rsp::ResumeThreads&);
  Answer serve(const rsp::ResumeBackward&);
  Answer serve(const rsp::QueryResumeActions&);
  Answer serve(const rsp::Interrupt&);
  Answer serve(const rsp::SetNonStop&);
  Answer serve(const rsp::AcknowledgeStop&);

  Answer serve(const rsp::InsertBreakpoint&);
  Answer serve(const rsp::RemoveBreakpoint&);

  Answer serve(const rsp::SelectThread&);
  Answer serve(const rsp::IsThreadAlive&);
  Answer serve(const rsp::CurrentThread&);
  Answer serve(const rsp::FirstThreads&);
  Answer serve(const rsp::MoreThreads&);
  Answer serve(const rsp::ThreadDescription&);

  Answer serve(const rsp::QuerySupported&);
  Answer serve(const rsp::StartNoAckMode&);
  Answer serve(const rsp::QueryHost&);
  Answer serve(const rsp::QueryAttached&);
  Answer serve(const rsp::ExtendedMode&);
  Answer serve(const rsp::Attach&);
  Answer serve(const rsp::Run&);
  Answer serve(const rsp::Restart&);
  Answer serve(const rsp::Detach&);
  Answer serve(const rsp::Kill&);
  Answer serve(const rsp::KillProcess&);

  Answer serve(const rsp::ReadTransfer&);
  Answer serve(const rsp::QueryOffsets&);

  Answer serve(const rsp::QueryPhysicalMode&);
  Answer serve(const rsp::SetPhysicalMode&);
  Answer serve(const rsp::QueryStepBits&);
  Answer serve(const rsp::QueryStepMask&);
  Answer serve(const rsp::SetStepMask&);

  Answer serve(const rsp::ClearTracepoints&);
  Answer serve(const rsp::DefineTracepoint&);
  Answer serve(const rsp::AddTraceActions&);
  Answer serve(const rsp::AddTraceSource&);
  Answer serve(const rsp::DefineTraceVariable&);
  Answer serve(const rsp::ReadTraceVariable&);
  Answer serve(const rsp::EnableTracepoint&);
  Answer serve(const rsp::SetReadOnlyMemory&);
  Answer serve(const rsp::StartTrace&);
  Answer serve(const rsp::StopTrace&);
  Answer serve(const rsp::QueryTrace&);
  Answer serve(const rsp::QueryTracepoint&);
  Answer serve(const rsp::FirstTracepoints&);
  Answer serve(const rsp::MoreTracepoints&);
  Answer serve(const rsp::FirstTraceVariables&);
  Answer serve(const rsp::MoreTraceVariables&);
  Answer serve(const rsp::SelectFrame&);
  Answer serve(const rsp::ReadTraceBuffer&);
  Answer serve(const rsp::SetTraceRing&);
  Answer serve(const rsp::SetTraceSize&);
  Answer serve(const rsp::SaveTrace&);
  Answer serve(const rsp::SetDisconnectedTracing&);
  Answer serve(const rsp::SetTraceNotes&);
  Answer serve(const rsp::QueryFastTracepoints&);

  Answer serve(const rsp::EnableThreadSuffix&);
  Answer serve(const rsp::EnableThreadList&);
  Answer serve(const rsp::EnableErrorStrings&);
  Answer serve(const rsp::QueryProcess&);
  Answer serve(const rsp::QueryServerVersion&);
  Answer serve(const rsp::QueryWatchpointSupport&);
  Answer serve(const rsp::QueryThreadStop&);
  Answer serve(const rsp::QueryThreadStops&);
  Answer serve(const rsp::SaveRegisters&);
  Answer serve(const rsp::RestoreRegisters&);
  Answer serve(const rsp::AllocateMemory&);
  Answer serve(const rsp::ReadMemorySpans&);
  Answer serve(const rsp::ChangeBreakpoints&);

  // A request that the parser knows and nothing here serves.
  template <typename Request>
  Answer serve(const Request&) {
    return rsp::reply::empty();
  }

  Answer refuse(const Error& error) const;
  Answer refuse(ErrorCode code, const char* text) const { return refuse(Error(code, text)); }
  template <typename T>
  Answer refuse(const Result<T>& result) const {
    return refuse(result.error());
  }
  // What a selected frame says, or forbids. Nothing: the request is as without one.
  std::optional<Answer> answer_from_frame(const rsp::Request& request);
  Answer frame_registers(const trace::Frame& frame, std::optional<std::uint64_t> number);
  std::optional<Answer> frame_memory(const trace::Frame& frame, const rsp::ReadMemory& request);
  Answer frame_info(const rsp::ReadTransfer& request);
  Result<trace::Frame> selected_frame() const;
  std::string trace_file_head() const;
  Answer done(const Result<void>& result) const;
  const std::string& target_xml();
  bool is_of_guest(const rsp::ReadTransfer& request) const;
  Answer serve_of_guest(const rsp::ReadTransfer& request);
  Result<std::string> document_of_guest(const rsp::ReadTransfer& request);
  void keep_library_events();
  bool is_library_event(const StopEvent& event) const;
  Answer answer_about(VcpuId vcpu, const rsp::Request& request);
  bool stays_where_it_is(const rsp::Request& request) const;
  Result<void> restart();
  bool enter_mode();
  void say_that_it_looks();
  bool looks() const { return session_.role == Session::Role::Looks; }
  void let_go();
  void leave();
  void kill();
  Answer resume(ResumePlan plan);
  Result<void> run_on(ResumePlan& plan);
  Answer set_out(const hypervisor::Journey& journey, ResumePlan plan);
  Result<void> begin_journey();
  Answer travel_forward(ResumePlan plan);
  void arrive(const hypervisor::Arrival& arrival);
  void travel_on(std::optional<VcpuId> passing);
  void come_to_present();
  bool is_in_range(VcpuId vcpu);
  void end_journey(std::optional<VcpuId> vcpu, const StopEvent& event);
  void break_off(const Error& error);
  bool return_to_present();
  VcpuId existing_vcpu() const;
  VcpuId vcpu_going_back() const;
  std::optional<VcpuId> dead_vcpu() const;
  bool has_died() const;
  bool applies(const rsp::ThreadAction& action, VcpuId vcpu) const;
  std::string thread_list() const;
  std::string thread_name(VcpuId vcpu) const;
  static std::optional<rsp::ThreadId> named_thread(const rsp::Request& request);
  When when_non_stop(const rsp::Request& request, When needed) const;
  bool is_non_stop() const { return target_.control().mode() == RunControl::Mode::NonStop; }
  Answer resume_each(const rsp::ResumeThreads& request);
  const rsp::ThreadAction* find_action(const rsp::ResumeThreads& request, VcpuId vcpu) const;
  std::uint8_t signal_of(const StopEvent* event) const;
  std::string stop_reply() const;
  std::string stop_reply(VcpuId vcpu) const;
  std::string stop_reply(VcpuId vcpu, std::uint8_t signal, const StopEvent* event) const;
  void expedite(rsp::StopReply& reply, VcpuId vcpu) const;
  // What LLDB is told (lldb.cc).
  struct ToldStop {
    std::uint8_t signal = 0;
    const StopEvent* event = nullptr;
  };
  ToldStop told_stop(VcpuId vcpu) const;
  std::string stop_in_json(VcpuId vcpu) const;
  void add_threads(rsp::StopReply& reply) const;
  void add_reason(rsp::StopReply& reply, VcpuId vcpu, const StopEvent& event) const;
  Result<x86::RegisterValue> show_register(VcpuId vcpu, x86::Register r) const;
  Result<void> write_register(x86::Register r, const x86::RegisterValue& value);
  const hypervisor::ExtraRegister* find_extra_register(std::uint64_t number) const;
  Answer read_extra_register(std::uint64_t number);
  Answer write_extra_register(std::uint64_t number, std::span<const std::byte> data);
  std::string monitor_reply(std::string_view text);
  ShadowedMemory memory();
  MemoryRange range(Gva address, std::uint64_t length, MemoryRange::Holes holes);
  hypervisor::Vcpu& current() { return target_.vm().vcpu(session_.current); }

  std::optional<std::uint64_t> process() const;
  std::optional<VcpuId> find_thread(const rsp::ThreadId& id) const;

  Target& target_;
  const ServerOptions& options_;
  Session session_;
  std::unique_ptr<Work> scan_;
  struct Trip {
    hypervisor::Journey journey;
    ResumePlan plan;  // forwards: what the client wants
  };
  std::optional<Trip> trip_;
  std::vector<std::string> before_answer_;
  // The documents that a client reads in pieces.
  std::string threads_;
  // What was read of the guest's system last, and its name.
  std::string guest_document_, guest_text_;
  std::string description_;
  bool kill_requested_ = false;
};

}  // namespace ringside::debug
