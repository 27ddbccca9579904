// libringside: a debug server for somebody else's virtual machine. The embedder implements
// hypervisor::Vm (ringside/vm.h says what each call must do) and gives the endpoint its turns;
// examples/toy_vmm.cc is a whole VMM that does, and docs/embedding.md goes through it.
//
// Owned by the embedder; everything on the one thread that may use the Vm, except wake(). A process
// may have any number of endpoints, each with a Vm of its own, on one thread or several.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ringside/admission.h"
#include "ringside/event_loop.h"
#include "ringside/options.h"
#include "ringside/result.h"
#include "ringside/vm.h"

namespace ringside {

class DebugEndpoint {
 public:
  // Listens at PORT, ADDRESS:PORT, [V6]:PORT, unix:PATH, stdio or fd:N (a socket that was
  // inherited: one that listens, as socket activation passes them from fd:3 on, or a client's).
  // Empty: nowhere, for who hands connections to adopt(). The error is a sentence that names the
  // endpoint.
  //
  // With a `loop`, which must outlive it, the endpoint's descriptors are watched there, and the
  // owner of the loop calls settle() instead of serve().
  //
  // Of who connects, `admission` says who may. A client that has connected and said nothing does
  // not stop the guest, and what does not begin like a debugger is closed. An inherited client and
  // an adopted one are let in by who hands them over.
  static Result<std::unique_ptr<DebugEndpoint>> open(std::string_view endpoint,
                                                     EventLoop* loop = nullptr,
                                                     Admission admission = {});
  // The same with set_vm().
  static Result<std::unique_ptr<DebugEndpoint>> open(hypervisor::Vm& vm, std::string_view endpoint,
                                                     debug::ServerOptions options = {},
                                                     EventLoop* loop = nullptr,
                                                     Admission admission = {});
  // A client that is there loses its connection; the guest stays as it is.
  ~DebugEndpoint();

  // One that listens nowhere listens at this endpoint from now on, while the guest runs: only who
  // connects stops it. Busy where it listens already; otherwise the errors of open().
  Result<void> listen(std::string_view endpoint);

  // The machine to debug, which must outlive the endpoint. Once; what follows has no effect without
  // it. A client that comes before start() is greeted, and waits for it. BadRequest for a machine
  // with no vCPU or more than kMaxVcpus.
  Result<void> set_vm(hypervisor::Vm& vm, debug::ServerOptions options = {});
  // Before set_vm(), where the machine will have ServerOptions::time_travel: a client that is
  // greeted is told what the machine can do, and debuggers do not ask again.
  void expect_time_travel();
  // The same where ServerOptions::guest will know of libraries, tables and VMCOREINFO.
  void expect_guest_knowledge();
  // Once, before the guest runs: it runs from here on, or waits for a debugger.
  void start();

  // ---- A turn, for who has no event loop of his own
  // Takes the Vm's events and serves the client, after a wait of at most `timeout` (none: for ever)
  // for bytes, the Vm's event_fd(), a signal or wake(). Does not wait while time_to_wait() is 0:
  // the caller is to run what runs on its thread, and come again. The error is one of poll(2).
  Result<> serve(std::optional<std::chrono::nanoseconds> timeout);
  // Makes the present or the next serve() return. From any thread and from a signal handler.
  void wake() const;

  // ---- A turn, for who has one
  // Takes the Vm's events and writes what there is to say. After the loop's callbacks, and after
  // the guest has run.
  void settle();
  // How long the loop may sleep. 0: not at all, because the client's request takes long, or because
  // a vCPU of a Vm without an event_fd() can run; nothing: until a descriptor is ready.
  std::optional<std::chrono::nanoseconds> time_to_wait() const;
  // Without an EventLoop: what serve() would wait for now. After poll(2) over these, with
  // time_to_wait() as timeout, call serve(0). They may be others after each call.
  struct Descriptor {
    int fd = -1;
    Interest interest = Interest::Read;
  };
  std::vector<Descriptor> descriptors() const;

  // A client's connected stream socket, accepted by somebody else (vsock, TLS, an own listener).
  // The endpoint owns the descriptor in any case. Busy if there is no room for one more.
  Result<void> adopt(int socket);

  // For who reads guest memory beside the debugger, to keep it: takes the bytes of breakpoints out
  // of a copy of what is at guest-physical `where`. While every vCPU is out of the guest.
  void hide_breakpoints(Gpa where, std::span<std::byte> copy) const;
  // Whether there are any: never where the engine has breakpoints of its own.
  bool has_breakpoint_bytes() const;

  // For the embedder's own requests beside those of debuggers. Calls it once, within settle() or
  // serve(), while every vCPU is out of the guest: for a moment, of which no debugger is told,
  // where the guest runs. It may call nothing of the endpoint but monitor() and
  // machine_was_reset().
  void while_out(std::function<void()> request);
  // From such a request: what a monitor command says that changes nothing. `refusal` is what is
  // said of others.
  std::string monitor(std::string_view line, VcpuId current, std::string_view refusal) const;
  // A debugger has stopped the guest, or the guest waits for its first one (ServerOptions::wait).
  bool holds_guest() const;

  // The embedder has put the machine into the state of power-on, with every vCPU out of the guest:
  // what vCPUs had still to tell is void. Not from ServerOptions::restart, after which it is known.
  void machine_was_reset();
  // The embedder ends the machine, with this status: a client that waits for a stop is told, by the
  // next settle().
  void announce_end(int status);
  // A debugger in non-stop mode has not yet acknowledged that the machine has ended. Worth waiting
  // for, a second or so: to a debugger whose connection ends before, it has broken.
  bool end_waits() const;

  // Where it really listens, as a debugger would write it; empty where it does not.
  std::string where() const;
  // Whether other machines can reach it. They are refused, or with Allow::Any have to say the token
  // first.
  bool reachable_from_outside() const;
  // The token; empty where other machines are refused.
  std::string token() const;
  bool connected() const;
  // The client has spoken within the last 50 microseconds, so that its next packet is probably on
  // its way: looking for it a little longer is cheaper than to sleep and be woken.
  bool is_talking() const;
  // serve() or settle() has more to do, though nothing comes from outside.
  bool has_work() const;
  // How long an observer waits to be served at least, though nothing comes from outside; nothing
  // where none waits. time_to_wait() and serve() heed it.
  std::optional<std::chrono::nanoseconds> time_to_look() const;
  // A debugger's `kill`, where the options say that it ends the machine.
  bool wants_vm_end() const;

 private:
  class Parts;
  explicit DebugEndpoint(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace ringside
