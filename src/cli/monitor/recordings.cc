#include "cli/monitor/recordings.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "cli/options/number.h"
#include "cli/terminal/notice.h"

namespace ringside::cli {
namespace {

constexpr std::uint64_t kUsualEvery = 100'000;
std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  for (std::size_t at = 0; (at = text.find_first_not_of(" \t", at)) != std::string_view::npos;) {
    const std::size_t end = std::min(text.find_first_of(" \t", at), text.size());
    words.emplace_back(text.substr(at, end - at));
    at = end;
  }
  return words;
}

std::string content_of(const profile::Profiler& profiler) {
  return fmt::format("{} samples, one in {} instructions, {} KiB", profiler.samples(),
                     profiler.every(), profiler.bytes() >> 10);
}

std::string content_of(const profile::CallTrace& trace) {
  return fmt::format("{} calls, {} KiB", trace.calls(), trace.bytes() >> 10);
}

tl::unexpected<Error> no_engine() {
  return fail(ErrorCode::NotSupported, "that needs the software CPU");
}

}  // namespace

Recordings::Recordings(hypervisor::Engine& engine, Folder& folder, CodeSource code)
    : engine_(engine), folder_(folder), code_(std::move(code)) {}

Recordings::~Recordings() = default;

Result<profile::Output> Recordings::open(Place& place, const std::string& name, FileKind kind,
                                         std::uint64_t most) {
  place.file.emplace(TRY(WholeFile::create(folder_, name, kind)));
  place.name = name;
  place.code = code_();
  return profile::Output(
      [&place](std::span<const std::byte> bytes) { return place.file->write(bytes); }, most);
}

std::string Recordings::describe(Place& place, const Result<std::string>& why,
                                 Result<void> finished, const std::string& content) {
  if (!why) finished = fail(why.error());
  if (finished) finished = place.file->finish();
  place.file.reset();
  const std::string reason = why && !why->empty() ? fmt::format(", ended because {}", *why) : "";
  place.last = finished ? fmt::format("'{}' has {}{}", place.name, content, reason)
                        : fmt::format("nothing was kept: {}", finished.error().text());
  return place.last;
}

std::string Recordings::end_profile(const Result<std::string>& why) {
  const Result<void> finished = profiler_->finish();
  return describe(profile_place_, why, finished, content_of(*profiler_));
}

std::string Recordings::end_trace(const Result<std::string>& why) {
  const Result<void> finished = trace_->finish();
  return describe(trace_place_, why, finished, content_of(*trace_));
}

void Recordings::end_all(std::string_view why) {
  if (profile_place_.file) notice("profile: {}", end_profile(std::string(why)));
  if (trace_place_.file) notice("trace: {}", end_trace(std::string(why)));
}

Result<std::string> Recordings::profile(std::string_view arguments) {
  if (engine_.observable() == nullptr) return no_engine();
  const std::vector<std::string> words = words_of(arguments);
  const bool runs = profile_place_.file.has_value();
  if (words.empty()) {
    if (runs) return fmt::format("'{}': {} so far", profile_place_.name, content_of(*profiler_));
    const std::string& last = profile_place_.last;
    return "nothing is sampled" + (last.empty() ? "" : "; the last: " + last);
  }
  if (words[0] == "stop" && words.size() == 1) {
    if (!runs) return fail(ErrorCode::BadRequest, "nothing is sampled");
    return end_profile(std::string());
  }
  if (words[0] != "start" || words.size() < 2 || words.size() > 3)
    return fail(ErrorCode::BadRequest, "it wants 'start FILE [EVERY]', 'stop' or nothing");
  if (runs) return fail(ErrorCode::Busy, fmt::format("'{}' is being written", profile_place_.name));
  const auto every = words.size() == 3 ? parse_number(words[2]) : kUsualEvery;
  constexpr std::uint64_t kLeast = 100;
  if (!every || *every < kLeast)
    return fail(ErrorCode::BadRequest,
                fmt::format("EVERY is a number of instructions, {} or more", kLeast));
  profile::Output output =
      TRY(open(profile_place_, words[1], FileKind::Profile, profile::Profiler::kMostBytes));
  TRY(output.append(beginning_of(FileKind::Profile)));
  profiler_.reset();  // the engine has one at a time, which takes itself out as it goes
  profiler_ = std::make_unique<profile::Profiler>(
      engine_, *profile_place_.code, *every, std::move(output),
      [this](const Result<std::string>& why) { notice("profile: {}", end_profile(why)); });
  return fmt::format("a sample in {} instructions, into '{}'", *every, words[1]);
}

Result<std::string> Recordings::trace(std::string_view arguments) {
  if (engine_.observable() == nullptr) return no_engine();
  const std::vector<std::string> words = words_of(arguments);
  const bool runs = trace_place_.file.has_value();
  if (words.empty()) {
    if (runs) return fmt::format("'{}': {} so far", trace_place_.name, content_of(*trace_));
    const std::string& last = trace_place_.last;
    return "nothing is traced" + (last.empty() ? "" : "; the last: " + last);
  }
  if (words[0] == "stop" && words.size() == 1) {
    if (!runs) return fail(ErrorCode::BadRequest, "nothing is traced");
    return end_trace(std::string());
  }
  if (words[0] != "calls" || words.size() != 2)
    return fail(ErrorCode::BadRequest, "it wants 'calls FILE', 'stop' or nothing");
  if (runs) return fail(ErrorCode::Busy, fmt::format("'{}' is being written", trace_place_.name));
  profile::Output output =
      TRY(open(trace_place_, words[1], FileKind::CallTrace, profile::CallTrace::kMostBytes));
  trace_.reset();
  trace_ = std::make_unique<profile::CallTrace>(
      engine_, *trace_place_.code, std::move(output),
      [this](const Result<std::string>& why) { notice("trace: {}", end_trace(why)); });
  return fmt::format("all calls, into '{}'; the guest is interpreted meanwhile", words[1]);
}

void Recordings::add_commands(debug::ServerOptions& server) {
  const auto add = [&](const char* name, const char* usage, const char* help, auto member) {
    debug::MonitorCommand command;
    command.name = name;
    command.usage = usage;
    command.help = help;
    command.looks_alone = true;
    command.run = [this, name, member](std::string_view arguments) {
      const Result<std::string> text = (this->*member)(arguments);
      return fmt::format("{}: {}\n", name, text ? *text : text.error().text());
    };
    server.commands.push_back(std::move(command));
  };
  add("profile", "[start FILE [EVERY] | stop]",
      "Samples where the guest is, with its callers, at every so many instructions of all vCPUs\n"
      "(100000), as the text of perf script, for flame graphs. FILE is made in the directory of\n"
      "--files when it is over: by stop, or at the machine's reset or end.",
      &Recordings::profile);
  add("trace", "[calls FILE | stop]",
      "Writes all calls of functions with their times as JSON for Perfetto. FILE is made as that "
      "of\n"
      "profile, and at most 128 MiB. While it goes on, the guest is interpreted.",
      &Recordings::trace);
}

}  // namespace ringside::cli
