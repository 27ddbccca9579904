// The debug server of one virtual machine, without I/O: the owner of the sockets tells it of
// clients and their bytes, writes what output() holds, and calls drain_events() when the Vm may
// have events.
//
// Everything happens on the one thread that may use the Vm. One client controls the machine, and
// others may look at it (Observer): whom of them a socket belongs to is known to who owns the
// sockets.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "debug/packets/debugger.h"
#include "debug/packets/greeter.h"
#include "debug/server/conversation.h"
#include "debug/server/observer.h"
#include "debug/target/target.h"
#include "ringside/options.h"
#include "ringside/vm.h"

namespace ringside::debug {

class Server {
 public:
  Server(hypervisor::Vm& vm, ServerOptions options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Once, before anything else: the guest runs from here on, or waits for a client's resume.
  void start();

  void on_connected();
  // A client that somebody else has served until now.
  enum class Begins : std::uint8_t { Attached, Unattached };
  void take_over(Introduction said, Begins begins = Begins::Attached);
  void on_bytes(std::span<const std::byte> bytes);
  // However the client went. The guest runs on as if it had never been there.
  void on_disconnected();
  bool connected() const { return client_.has_value(); }

  // ---- Further clients
  // One that looks. The server owns it, until leave().
  Observer& observe();
  // One that somebody else has served, and which has still to ask for the machine.
  Observer& observe(Introduction said);
  void leave(Observer& observer);
  // Bytes of an observer's have come.
  void observer_acts() { observers_rest_ = false; }
  // Observers have nothing to say or to end, and nothing to do before time_to_look() is over: their
  // owner need not look after them.
  bool observers_rest() const { return observers_rest_ && !target_.ended(); }
  // An observer that wants_control(), while connected() is false: it is the client from now on, and
  // no observer any more.
  void take_over(Observer& observer);
  // How long there is nothing to do for observers, though they wait; nothing: they do not wait.
  std::optional<std::chrono::nanoseconds> time_to_look() const;

  // ---- The owner of the machine, beside all clients
  // Calls it once, within drain_events(), while every vCPU is out of the guest: for a moment, of
  // which a client is told nothing, where the guest runs. It may not call the server but for
  // monitor() and machine_was_reset().
  void while_out(std::function<void()> request) { requests_.push_back(std::move(request)); }
  // What a monitor command says that changes nothing, to somebody for whom this vCPU is the
  // current one. `refusal`: what it says otherwise.
  std::string monitor(std::string_view line, VcpuId current, std::string_view refusal);
  // A client has stopped the guest, or it waits for one.
  bool holds_guest() const;

  // Everything is as at power-on, by a monitor command: what vCPUs had still to tell is void.
  void machine_was_reset();

  // What qSupported says.
  Abilities abilities() const { return debugger_.abilities(); }

  // What of ours is in guest memory.
  const BreakpointTable& breakpoints() { return target_.breakpoints(); }

  // Takes the Vm's events until there are none. Also without a client: vCPUs that start are let go.
  void drain_events();
  // Call drain_events() again soon, also if the Vm has no events: a client's request takes long, or
  // there was more to do than one call does. Asked after everything else that was called.
  bool has_work() const;

  // The machine's owner ends it, with this status. A client that waits for a stop is told; its
  // output() is still to be written.
  void announce_end(int status);
  // A client in non-stop mode has been told of the end, and has not acknowledged it: closed now,
  // the connection seems to have broken.
  bool end_waits() const { return end_waits_; }

  // What to write to the client; valid until the next call of anything else.
  std::string_view output() const;
  void wrote(std::size_t count);
  // Whether to read from the client: not while it takes nothing, or sends faster than it is served.
  bool wants_input() const;
  // Everything is written that will be: close the connection, then call on_disconnected().
  bool wants_close() const;
  // A client's k, where the options say that it stops the machine.
  bool wants_vm_end() const { return debugger_.kill_requested(); }

 private:
  // Somebody reads what a guest that runs has to print.
  bool has_client() const { return client_ && debugger_.has_machine(); }
  bool is_non_stop() const { return target_.control().mode() == RunControl::Mode::NonStop; }
  void work();
  void tell_owner();
  void send_output(Conversation::Next next);
  void print_without_client();
  std::optional<rsp::Event::Kind> take_input();
  void say_stop();
  bool say_end();
  void notify_of_end(const std::string& reply);
  void serve_acknowledgements();
  bool serve_one();
  bool serve_journey();
  bool serve_requests();
  bool serve_observers();
  bool may_look(std::chrono::steady_clock::time_point now) const;

  Target target_;
  ServerOptions options_;
  Debugger debugger_;
  std::optional<Conversation> client_;
  bool end_is_said_ = false;
  bool end_waits_ = false;
  std::optional<std::string> end_reply_;  // to be sent as an answer
  bool owner_knows_stop_ = false;         // what hooks have told last
  bool may_travel_ = false;               // a slice of a journey is left for this call of work()

  std::deque<std::function<void()>> requests_;  // of while_out()
  bool paused_for_request_ = false;

  std::list<Observer> observers_;
  // The pause of a machine that runs is for them.
  bool looking_ = false;
  bool observers_rest_ = true;        // but for requests that wait for their time
  bool may_serve_observers_ = false;  // a round of them is left for this call of work()
  bool look_waits_ = false;           // one has a request that is not served yet
  std::chrono::steady_clock::time_point look_began_, next_look_, last_heard_;
};

}  // namespace ringside::debug
