#include "qmp/session.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace ringside::qmp {
namespace {

const char* name_of(ErrorClass error) {
  return error == ErrorClass::CommandNotFound ? "CommandNotFound" : "GenericError";
}

// Nobody holds the guest. That it sleeps is told by another event.
bool runs(RunState state) { return state == RunState::Running || state == RunState::Suspended; }

}  // namespace

Session::Session(Machine& machine, std::function<Moment()> clock)
    : machine_(machine), clock_(std::move(clock)), commands_(machine) {
  output_ =
      to_line({{"QMP", {{"version", version_of(machine_)}, {"capabilities", Json::array()}}}});
}

void Session::on_descriptors(std::vector<Fd> descriptors) {
  const std::uint64_t at = input_.taken() + input_.waiting();
  for (Fd& fd : descriptors) {
    if (descriptors_.size() < kMostDescriptors) descriptors_.push_back({at, std::move(fd)});
  }
}

std::size_t Session::room() const {
  if (output().size() >= kMostOutput) return 0;
  return kMostInput - std::min(kMostInput, input_.waiting());
}

void Session::wrote(std::size_t count) {
  written_ += count;
  if (written_ < output_.size()) return;
  output_.clear();
  written_ = 0;
}

void Session::work() {
  settle_task();
  tell_state();
  while (task_ == nullptr && output().size() < kMostOutput && serve_one())
    tell_state();
}

bool Session::has_work() const {
  return task_ == nullptr && input_.waiting() > 0 && output().size() < kMostOutput;
}

bool Session::serve_one() {
  const std::optional<JsonInput::Item> item = input_.next();
  if (!item) return false;
  id_.reset();
  if (const auto* broken = std::get_if<JsonInput::Broken>(&*item)) {
    refuse({ErrorClass::GenericError, broken->why});
    return true;
  }
  Received received = parse_request(std::get<JsonInput::Value>(*item).text);
  id_ = std::move(received.id);
  if (const auto* refusal = std::get_if<Refusal>(&received.what)) {
    refuse(*refusal);
  } else {
    serve(std::get<Request>(received.what));
  }
  return true;
}

void Session::serve(const Request& request) {
  // Before it has agreed it is told of nothing, and then of what changes from there on.
  if (!commands_.negotiated()) told_running_ = runs(machine_.state());
  Commands::Outcome outcome = commands_.execute(request, take_descriptor());
  if (auto* later = std::get_if<Commands::Later>(&outcome)) {
    task_ = std::move(later->task);
    task_has_text_ = later->wants_text;
    settle_task();
  } else if (const auto* refusal = std::get_if<Refusal>(&outcome)) {
    refuse(*refusal);
  } else {
    answer(std::get<Json>(std::move(outcome)));
  }
}

// The last of those that came with this request, or between it and the last one.
Fd Session::take_descriptor() {
  Fd descriptor;
  while (!descriptors_.empty() && descriptors_.front().at < input_.taken()) {
    descriptor = std::move(descriptors_.front().fd);
    descriptors_.pop_front();
  }
  return descriptor;
}

void Session::settle_task() {
  if (task_ == nullptr) return;
  std::optional<Result<std::string>> result = task_->advance();
  if (!result) return;
  task_.reset();
  if (!*result) {
    tell_state();
    refuse({ErrorClass::GenericError, result->error().text()});
  } else {
    answer(task_has_text_ ? Json(**std::move(result)) : Json::object());
  }
}

// What is told is what is so now: a guest that runs and stops faster than the client reads is told
// of as it is found.
void Session::tell_state() {
  if (!commands_.negotiated() || output().size() >= kMostOutput) return;
  const bool running = runs(machine_.state());
  if (std::exchange(told_running_, running) != running) tell(running ? "RESUME" : "STOP", {});
}

void Session::tell(const Event& event) {
  if (!commands_.negotiated()) return;
  struct Visitor {
    Session& session;
    void operator()(const Shutdown& e) {
      session.tell("SHUTDOWN", {{"guest", e.by_guest}, {"reason", e.reason}});
    }
    void operator()(const Reset&) {
      session.tell("RESET", {{"guest", false}, {"reason", "host-qmp-system-reset"}});
    }
    void operator()(const PowerDown&) { session.tell("POWERDOWN", {}); }
    void operator()(const Suspend&) { session.tell("SUSPEND", {}); }
    void operator()(const WakeUp&) { session.tell("WAKEUP", {}); }
    void operator()(const DumpCompleted& e) {
      Json data = {{"result", to_json(e.state)}};
      if (!e.error.empty()) data["error"] = e.error;
      session.tell("DUMP_COMPLETED", data);
    }
  };
  std::visit(Visitor{*this}, event);
}

void Session::tell(std::string_view name, const Json& data) {
  const Moment now = clock_();
  Json event = {{"timestamp", {{"seconds", now.seconds}, {"microseconds", now.microseconds}}},
                {"event", name}};
  if (!data.is_null()) event["data"] = data;
  output_ += to_line(event);
}

// What a command has done is told before it is answered, as QEMU tells it.
void Session::answer(Json reply) {
  tell_state();
  Json line = {{"return", std::move(reply)}};
  if (auto id = std::exchange(id_, std::nullopt)) line["id"] = *std::move(id);
  output_ += to_line(line);
}

void Session::refuse(const Refusal& refusal) {
  Json line = Json::object();
  if (auto id = std::exchange(id_, std::nullopt)) line["id"] = *std::move(id);
  line["error"] = {{"class", name_of(refusal.error)}, {"desc", refusal.text}};
  output_ += to_line(line);
}

}  // namespace ringside::qmp
