// One client of the machine protocol: greeting, requests in their order, answers, events. What it
// says is bounded by not reading on while the client takes nothing.
//
// Owned by who has the socket; the program's main thread. No I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "qmp/commands.h"
#include "qmp/json_input.h"
#include "qmp/machine.h"

namespace ringside::qmp {

struct Moment {
  std::int64_t seconds = 0, microseconds = 0;
};

// What happens without being asked for. That the guest stops and runs is noticed by the session.
struct Shutdown {
  bool by_guest = false;
  std::string_view reason;  // as QEMU's ShutdownCause has it
};
struct Reset {};
struct PowerDown {};
struct Suspend {};  // the guest sleeps (ACPI S3)
struct WakeUp {};
struct DumpCompleted {
  DumpState state;
  std::string error;  // empty: there is none
};
using Event = std::variant<Shutdown, Reset, PowerDown, Suspend, WakeUp, DumpCompleted>;

class Session {
 public:
  // `clock`: the host's, for events. The machine outlives the session.
  Session(Machine& machine, std::function<Moment()> clock);

  void on_bytes(std::string_view bytes) { input_.append(bytes); }
  // They came with the bytes that come next.
  void on_descriptors(std::vector<Fd> descriptors);
  // How many bytes may come: few enough that it is never much that waits.
  std::size_t room() const;

  std::string_view output() const { return std::string_view(output_).substr(written_); }
  void wrote(std::size_t count);

  // Serves what has come, as far as it goes now. After anything that may have changed the machine.
  void work();
  // Whether work() has more to do at once, though nothing comes from outside.
  bool has_work() const;
  void tell(const Event& event);

 private:
  static constexpr std::size_t kMostOutput = 1u << 20, kMostInput = 64u << 10;
  static constexpr std::size_t kMostDescriptors = 16;

  bool serve_one();
  void serve(const Request& request);
  void settle_task();
  void tell_state();
  void tell(std::string_view name, const Json& data);
  void answer(Json reply);
  void refuse(const Refusal& refusal);
  Fd take_descriptor();

  Machine& machine_;
  std::function<Moment()> clock_;
  Commands commands_;
  JsonInput input_;
  struct Descriptor {
    std::uint64_t at;  // in what the client has sent
    Fd fd;
  };
  std::deque<Descriptor> descriptors_;
  std::string output_;
  std::size_t written_ = 0;
  std::optional<Json> id_;  // of the request that is served
  std::unique_ptr<Task> task_;
  bool task_has_text_ = false;
  bool told_running_ = false;
};

}  // namespace ringside::qmp
