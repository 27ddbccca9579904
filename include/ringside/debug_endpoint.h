// libringside: a debug server for somebody else's virtual machine. The embedder implements
// hypervisor::Vm (ringside/vm.h says what each call must do) and gives the endpoint its turns;
// examples/toy_vmm.cc is a whole VMM that does. Version 0: the interface may still change.
//
// Owned by the embedder; everything on the one thread that may use the Vm, except wake().
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "ringside/options.h"
#include "ringside/result.h"
#include "ringside/vm.h"

namespace ringside {

class DebugEndpoint {
 public:
  // Listens at PORT, ADDRESS:PORT, [V6]:PORT, unix:PATH or stdio. The Vm must outlive it. The error
  // is a sentence that names the endpoint.
  static Result<std::unique_ptr<DebugEndpoint>> open(hypervisor::Vm& vm, std::string_view endpoint,
                                                     debug::ServerOptions options = {});
  // A client that is there loses its connection; the guest stays as it is.
  ~DebugEndpoint();

  // Once, before the first serve(): the guest runs from here on, or waits for a debugger.
  void start();

  // Takes the Vm's events and serves the client, after a wait of at most `timeout` (none: for ever)
  // for bytes, the Vm's event_fd(), a signal or wake(). Does not wait while the client's request
  // takes long, nor, for a Vm without an event_fd(), while a vCPU is in the guest and not halted:
  // the caller is to run it and come again. The error is one of poll(2).
  Result<> serve(std::optional<std::chrono::nanoseconds> timeout);

  // Makes the present or the next serve() return. From any thread and from a signal handler.
  void wake() const;

  // Where it really listens, as a debugger would write it.
  std::string where() const;
  // Whether other machines can reach it: who can reach it controls the guest.
  bool reachable_from_outside() const;
  bool connected() const;
  // A debugger's `kill`, where the options say that it ends the machine.
  bool wants_vm_end() const;

 private:
  class Parts;
  explicit DebugEndpoint(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace ringside
