#include "qmp/commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace ringside::qmp {
namespace {

Refusal refuse(std::string text) { return {ErrorClass::GenericError, std::move(text)}; }
Refusal refuse(const Error& error) { return refuse(error.text()); }

Json empty() { return Json::object(); }

std::uint64_t number(const Json& arguments, std::string_view name) {
  return arguments.at(std::string(name)).get<std::uint64_t>();
}

constexpr const char* kNoCpu = "Parameter 'cpu-index' expects a CPU number";
constexpr const char* kDumps = "There is a dump in process, please wait.";

}  // namespace

std::span<const Commands::Command> Commands::table() {
  static constexpr Parameter kEnable[] = {{"enable", Type::Strings, false}};
  static constexpr Parameter kLine[] = {{"command-line", Type::String, true},
                                        {"cpu-index", Type::Integer, false}};
  static constexpr Parameter kFdName[] = {{"fdname", Type::String, true}};
  static constexpr Parameter kDump[] = {
      {"paging", Type::Boolean, true},  {"protocol", Type::String, true},
      {"detach", Type::Boolean, false}, {"begin", Type::Integer, false},
      {"length", Type::Integer, false}, {"format", Type::String, false}};
  static constexpr Parameter kSave[] = {{"val", Type::Integer, true},
                                        {"size", Type::Integer, true},
                                        {"filename", Type::String, true}};
  static constexpr Parameter kSaveLinear[] = {{"val", Type::Integer, true},
                                              {"size", Type::Integer, true},
                                              {"filename", Type::String, true},
                                              {"cpu-index", Type::Integer, false}};
  static constexpr Command kCommands[] = {
      {"qmp_capabilities", kEnable, &Commands::negotiate},
      {"query-version", {}, &Commands::query_version},
      {"query-commands", {}, &Commands::query_commands},
      {"query-name", {}, &Commands::query_name},
      {"query-status", {}, &Commands::query_status},
      {"query-target", {}, &Commands::query_target},
      {"query-cpus-fast", {}, &Commands::query_cpus_fast},
      {"query-kvm", {}, &Commands::query_kvm},
      {"query-dump", {}, &Commands::query_dump},
      {"query-dump-guest-memory-capability", {}, &Commands::query_dump_capability},
      {"stop", {}, &Commands::stop},
      {"cont", {}, &Commands::cont},
      {"quit", {}, &Commands::quit},
      {"system_reset", {}, &Commands::system_reset},
      {"system_powerdown", {}, &Commands::system_powerdown},
      {"system_wakeup", {}, &Commands::system_wakeup},
      {"human-monitor-command", kLine, &Commands::human_monitor_command},
      {"getfd", kFdName, &Commands::getfd},
      {"closefd", kFdName, &Commands::closefd},
      {"dump-guest-memory", kDump, &Commands::dump_guest_memory},
      {"memsave", kSaveLinear, &Commands::memsave},
      {"pmemsave", kSave, &Commands::pmemsave},
  };
  return kCommands;
}

std::vector<std::string_view> Commands::names() {
  std::vector<std::string_view> names;
  for (const Command& command : table())
    names.push_back(command.name);
  return names;
}

Commands::Outcome Commands::execute(const Request& request, Fd descriptor) {
  const auto found = std::ranges::find(table(), request.command, &Command::name);
  const bool negotiates = request.command == "qmp_capabilities";
  if (!negotiated_ && !negotiates) {
    return Refusal{ErrorClass::CommandNotFound,
                   "Expecting capabilities negotiation with 'qmp_capabilities'"};
  }
  if (negotiated_ && negotiates) {
    return Refusal{ErrorClass::CommandNotFound,
                   "Capabilities negotiation is already complete, command ignored"};
  }
  if (found == table().end()) {
    return Refusal{ErrorClass::CommandNotFound,
                   fmt::format("The command {} has not been found", request.command)};
  }
  if (auto wrong = check(*found, request.arguments)) return *std::move(wrong);
  came_with_it_ = std::move(descriptor);
  Outcome outcome = (this->*found->run)(request.arguments);
  came_with_it_.reset();
  return outcome;
}

std::optional<Refusal> Commands::check(const Command& command, const Json& arguments) {
  for (const Parameter& parameter : command.parameters) {
    const auto given = arguments.find(std::string(parameter.name));
    if (given == arguments.end()) {
      if (!parameter.required) continue;
      return refuse(fmt::format("Parameter '{}' is missing", parameter.name));
    }
    const char* expected = nullptr;
    switch (parameter.type) {
      case Type::Boolean:
        if (!given->is_boolean()) expected = "boolean";
        break;
      case Type::Integer:
        if (!given->is_number_integer()) expected = "integer";
        break;
      case Type::String:
        if (!given->is_string()) expected = "string";
        break;
      case Type::Strings:
        if (!given->is_array()) expected = "array";
        break;
    }
    if (expected != nullptr) {
      return refuse(
          fmt::format("Invalid parameter type for '{}', expected: {}", parameter.name, expected));
    }
  }
  for (const auto& [name, value] : arguments.items()) {
    if (std::ranges::find(command.parameters, name, &Parameter::name) == command.parameters.end())
      return refuse(fmt::format("Parameter '{}' is unexpected", name));
  }
  return std::nullopt;
}

// ---- Queries

Json version_of(const Machine& machine) {
  // The version whose protocol this is: clients look for what they can use by it.
  return {{"qemu", {{"micro", 0}, {"minor", 2}, {"major", 7}}}, {"package", machine.version()}};
}

Json to_json(const DumpState& state) {
  static constexpr const char* kWords[] = {"none", "active", "completed", "failed"};
  return {{"total", state.total},
          {"status", kWords[static_cast<std::size_t>(state.status)]},
          {"completed", state.completed}};
}

Commands::Outcome Commands::negotiate(const Json& arguments) {
  if (const auto wanted = arguments.find("enable"); wanted != arguments.end()) {
    for (const Json& capability : *wanted) {
      if (!capability.is_string())
        return refuse("Invalid parameter type for 'enable', expected: string");
      return refuse(fmt::format("Capability '{}' not available", capability.get<std::string>()));
    }
  }
  negotiated_ = true;
  return empty();
}

Commands::Outcome Commands::query_version(const Json&) { return version_of(machine_); }

Commands::Outcome Commands::query_commands(const Json&) {
  Json list = Json::array();
  for (const std::string_view name : names())
    list.push_back({{"name", name}});
  return list;
}

Commands::Outcome Commands::query_name(const Json&) { return empty(); }

Commands::Outcome Commands::query_status(const Json&) {
  static constexpr const char* kWords[] = {"running", "paused", "debug", "save-vm", "suspended"};
  const RunState state = machine_.state();
  return Json{{"status", kWords[static_cast<std::size_t>(state)]},
              {"singlestep", false},
              {"running", state == RunState::Running}};
}

Commands::Outcome Commands::query_target(const Json&) { return Json{{"arch", "x86_64"}}; }

Commands::Outcome Commands::query_cpus_fast(const Json&) {
  Json list = Json::array();
  for (unsigned i = 0; i < machine_.vcpu_count(); ++i) {
    list.push_back({{"thread-id", machine_.thread_of(i)},
                    {"props", {{"core-id", i}, {"thread-id", 0}, {"socket-id", 0}}},
                    {"qom-path", fmt::format("/machine/unattached/device[{}]", i)},
                    {"cpu-index", i},
                    {"target", "x86_64"}});
  }
  return list;
}

Commands::Outcome Commands::query_kvm(const Json&) {
  return Json{{"enabled", machine_.uses_kvm()}, {"present", machine_.has_kvm()}};
}

Commands::Outcome Commands::query_dump(const Json&) { return to_json(machine_.dump_state()); }

Commands::Outcome Commands::query_dump_capability(const Json&) {
  return Json{{"formats", {"elf"}}};
}

// ---- Running

Commands::Outcome Commands::stop(const Json&) { return Later{machine_.stop()}; }

Commands::Outcome Commands::cont(const Json&) {
  if (machine_.dump_state().status == DumpState::Status::Active) return refuse(kDumps);
  machine_.cont();
  return empty();
}

Commands::Outcome Commands::quit(const Json&) {
  machine_.quit();
  return empty();
}

Commands::Outcome Commands::system_reset(const Json&) { return Later{machine_.reset()}; }
Commands::Outcome Commands::system_powerdown(const Json&) { return Later{machine_.power_down()}; }

Commands::Outcome Commands::system_wakeup(const Json&) { return Later{machine_.wake_up()}; }

std::optional<unsigned> Commands::vcpu_of(const Json& arguments) const {
  const auto given = arguments.find("cpu-index");
  if (given == arguments.end()) return 0;
  // Of a negative number this is a huge one.
  const auto index = given->get<std::uint64_t>();
  if (index >= machine_.vcpu_count()) return std::nullopt;
  return static_cast<unsigned>(index);
}

Commands::Outcome Commands::human_monitor_command(const Json& arguments) {
  const auto vcpu = vcpu_of(arguments);
  if (!vcpu) return refuse(kNoCpu);
  return Later{machine_.monitor(arguments.at("command-line").get<std::string>(), *vcpu), true};
}

// ---- Descriptors

Commands::Outcome Commands::getfd(const Json& arguments) {
  auto name = arguments.at("fdname").get<std::string>();
  if (!came_with_it_) return refuse("No file descriptor supplied via SCM_RIGHTS");
  if (!name.empty() && name[0] >= '0' && name[0] <= '9')
    return refuse("Parameter 'fdname' expects a name not starting with a digit");
  if (descriptors_.size() >= kMostDescriptors && !descriptors_.contains(name))
    return refuse(fmt::format("{} descriptors have names already", kMostDescriptors));
  descriptors_[std::move(name)] = std::move(came_with_it_);
  return empty();
}

Commands::Outcome Commands::closefd(const Json& arguments) {
  const auto name = arguments.at("fdname").get<std::string>();
  if (descriptors_.erase(name) == 0)
    return refuse(fmt::format("File descriptor named '{}' not found", name));
  return empty();
}

// ---- Memory

// A named descriptor is the dump's from then on.
Result<Place> Commands::place_of(const std::string& protocol) {
  constexpr std::string_view kFd = "fd:", kFile = "file:";
  if (protocol.starts_with(kFile)) return FileName{protocol.substr(kFile.size())};
  if (!protocol.starts_with(kFd))
    return fail(ErrorCode::BadRequest, "Invalid parameter 'protocol'");
  const auto named = descriptors_.find(protocol.substr(kFd.size()));
  if (named == descriptors_.end()) {
    return fail(ErrorCode::NotFound, fmt::format("File descriptor named '{}' has not been found",
                                                 protocol.substr(kFd.size())));
  }
  Fd descriptor = std::move(named->second);
  descriptors_.erase(named);
  return descriptor;
}

Commands::Outcome Commands::dump_guest_memory(const Json& arguments) {
  const bool has_begin = arguments.contains("begin"), has_length = arguments.contains("length");
  DumpWish wish;
  wish.linear = arguments.at("paging").get<bool>();
  if (const auto format = arguments.find("format"); format != arguments.end() && *format != "elf") {
    return refuse(
        fmt::format("Parameter 'format' does not accept value '{}'", format->get<std::string>()));
  }
  if (has_begin && !has_length) return refuse("Parameter 'length' is missing");
  if (has_length && !has_begin) return refuse("Parameter 'begin' is missing");
  if (has_begin) {
    if (arguments.at("begin") < 0) return refuse("Invalid parameter 'begin'");
    if (arguments.at("length") <= 0) return refuse("Invalid parameter 'length'");
    wish.range = MemoryRange{number(arguments, "begin"), number(arguments, "length")};
  }
  if (machine_.dump_state().status == DumpState::Status::Active) return refuse(kDumps);
  Result<Place> place = place_of(arguments.at("protocol").get<std::string>());
  if (!place) return refuse(place.error());
  wish.place = *std::move(place);
  Result<std::unique_ptr<Task>> begun = machine_.dump(std::move(wish));
  if (!begun) return refuse(begun.error());
  if (arguments.value("detach", false)) return empty();
  return Later{*std::move(begun)};
}

Commands::Outcome Commands::memsave(const Json& arguments) {
  const auto vcpu = vcpu_of(arguments);
  if (!vcpu) return refuse(kNoCpu);
  return save_memory(arguments, vcpu);
}

Commands::Outcome Commands::pmemsave(const Json& arguments) {
  return save_memory(arguments, std::nullopt);
}

Commands::Outcome Commands::save_memory(const Json& arguments, std::optional<unsigned> vcpu) {
  if (machine_.dump_state().status == DumpState::Status::Active) return refuse(kDumps);
  Result<std::unique_ptr<Task>> begun =
      machine_.save_memory({number(arguments, "val"), number(arguments, "size"),
                            arguments.at("filename").get<std::string>(), vcpu});
  if (!begun) return refuse(begun.error());
  return Later{*std::move(begun)};
}

}  // namespace ringside::qmp
