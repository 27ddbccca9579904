// The commands: a table of names with what each takes. Owned by the session of one client, together
// with the descriptors that this client has given names.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/fd.h"
#include "qmp/machine.h"
#include "qmp/request.h"

namespace ringside::qmp {

class Commands {
 public:
  explicit Commands(Machine& machine) : machine_(machine) {}

  // The answer; or why there is none; or a task that brings it. A task's text is the answer of
  // human-monitor-command, and otherwise there is no more to say than that it is done.
  struct Later {
    std::unique_ptr<Task> task;
    bool wants_text = false;
  };
  using Outcome = std::variant<Json, Refusal, Later>;
  // `descriptor`: that came with the request; none for most.
  Outcome execute(const Request& request, Fd descriptor);

  // Before anything else a client has to agree on capabilities, of which there are none.
  bool negotiated() const { return negotiated_; }

  static std::vector<std::string_view> names();

 private:
  enum class Type : std::uint8_t { Boolean, Integer, String, Strings };
  struct Parameter {
    std::string_view name;
    Type type;
    bool required;
  };
  struct Command {
    std::string_view name;
    std::span<const Parameter> parameters;
    Outcome (Commands::*run)(const Json& arguments);
  };
  static std::span<const Command> table();
  static std::optional<Refusal> check(const Command& command, const Json& arguments);

  Outcome negotiate(const Json&);
  Outcome query_version(const Json&);
  Outcome query_commands(const Json&);
  Outcome query_name(const Json&);
  Outcome query_status(const Json&);
  Outcome query_target(const Json&);
  Outcome query_cpus_fast(const Json&);
  Outcome query_kvm(const Json&);
  Outcome query_dump(const Json&);
  Outcome query_dump_capability(const Json&);
  Outcome stop(const Json&);
  Outcome cont(const Json&);
  Outcome quit(const Json&);
  Outcome system_reset(const Json&);
  Outcome system_powerdown(const Json&);
  Outcome system_wakeup(const Json&);
  Outcome human_monitor_command(const Json&);
  Outcome getfd(const Json&);
  Outcome closefd(const Json&);
  Outcome dump_guest_memory(const Json&);
  Outcome memsave(const Json&);
  Outcome pmemsave(const Json&);
  Outcome save_memory(const Json& arguments, std::optional<unsigned> vcpu);
  Result<Place> place_of(const std::string& protocol);
  std::optional<unsigned> vcpu_of(const Json& arguments) const;

  static constexpr std::size_t kMostDescriptors = 64;

  Machine& machine_;
  bool negotiated_ = false;
  Fd came_with_it_;
  std::map<std::string, Fd, std::less<>> descriptors_;
};

// Also for the greeting.
Json version_of(const Machine& machine);
Json to_json(const DumpState& state);

}  // namespace ringside::qmp
