#include "cli/monitor/time_commands.h"

#include <fmt/format.h>

#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/hex.h"
#include "cli/options/number.h"
#include "hypervisor/guest_memory.h"

namespace ringside::cli {
namespace {

using time::Place;
using time::Travels;

constexpr std::size_t kMostBookmarks = 10'000, kLongestName = 100;
constexpr std::uint64_t kMostBytes = 4096;

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = text.find_first_not_of(' ', at);
    if (start == std::string_view::npos) break;
    at = std::min(text.find(' ', start), text.size());
    words.emplace_back(text.substr(start, at - start));
  }
  return words;
}

// What the commands of one session of the program share.
struct Shared {
  TimeSubjects subjects;
  std::map<std::string, Place> bookmarks;
  unsigned unnamed = 0;  // bookmarks

  Travels& travels() const { return *subjects.travels; }
};

std::string describe(const Shared& shared) {
  const Travels& travels = shared.travels();
  const std::uint64_t count = travels.count().value,
                      first = travels.beginning().at.progress.instructions.value,
                      last = travels.present().at.progress.instructions.value;
  std::string text = fmt::format("at {}\n", count);
  text += fmt::format("virtual time {}.{:09} s, ", travels.here().at.time.ns / 1'000'000'000,
                      travels.here().at.time.ns % 1'000'000'000);
  text += !travels.in_past()
              ? "in the present"
              : fmt::format("in the past, at {} % of the way",
                            last == first ? 100 : (count - first) * 100 / (last - first));
  text += fmt::format("; history from {} to {}\n", first, last);
  const Place here = travels.here();
  text += fmt::format("inputs before it: {}; since the last instruction: {}\n", here.inputs,
                      here.at.progress.parts);
  for (std::uint32_t i = 0; i < shared.subjects.vm.vcpu_count(); ++i) {
    hypervisor::Vcpu& vcpu = shared.subjects.vm.vcpu({i});
    if (!vcpu.active()) continue;
    const auto rip = vcpu.read_register(x86::Register::Rip);
    text += fmt::format("vCPU {}: {} instructions, rip {:#x}\n", i,
                        vcpu.instructions().value_or(InsnCount{}).value, rip ? rip->as_u64() : 0);
  }
  return text;
}

// ---- Journeys as work

class JourneyWork : public debug::MonitorWork {
 public:
  explicit JourneyWork(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}
  // The client does not want it any more, or has gone.
  ~JourneyWork() override {
    if (over_) return;
    (void)travels().give_up();
    if (shared_->subjects.moved) shared_->subjects.moved();
  }
  std::optional<std::string> advance() override {
    auto arrived = travels().advance();
    if (!arrived) return std::nullopt;
    if (!*arrived) return end(fmt::format("{}\n", arrived->error().text()));
    return at_arrival(**arrived);
  }
  std::string progress() const override {
    return fmt::format("at {} now", shared_->travels().count().value);
  }

 protected:
  Travels& travels() const { return shared_->travels(); }
  // Nothing: there is another journey to be made.
  virtual std::optional<std::string> at_arrival(const hypervisor::Arrival& arrival) = 0;
  std::string end(std::string text) {
    over_ = true;
    if (shared_->subjects.moved) shared_->subjects.moved();
    return text;
  }

  std::shared_ptr<Shared> shared_;

 private:
  bool over_ = false;
};

class Nothing final : public debug::MonitorWork {
 public:
  explicit Nothing(std::string text) : text_(std::move(text)) {}
  std::optional<std::string> advance() override { return text_; }
  std::string progress() const override { return {}; }

 private:
  std::string text_;
};

class GotoWork final : public JourneyWork {
 public:
  // `note`: a line that the client is to read, too, or nothing.
  GotoWork(std::shared_ptr<Shared> shared, const Place& place, std::string note)
      : JourneyWork(std::move(shared)), note_(std::move(note)) {
    travels().set_out_to(place);
  }

 private:
  std::optional<std::string> at_arrival(const hypervisor::Arrival&) override {
    return end(
        describe(*shared_) + note_ +
        "Tell your debugger to forget its registers (GDB: maintenance flush register-cache).\n");
  }
  std::string note_;
};

// Looks at memory at another place, and comes back.
class LookWork : public JourneyWork {
 public:
  LookWork(std::shared_ptr<Shared> shared, Gpa address, std::uint64_t size)
      : JourneyWork(std::move(shared)), address_(address), size_(size), start_(travels().here()) {}

 protected:
  std::string bytes() const {
    const auto read = hypervisor::read_physical(shared_->subjects.vm, VcpuId{0}, address_, size_);
    return read ? to_hex(*read) : "nothing there";
  }
  std::optional<std::string> at_arrival(const hypervisor::Arrival& arrival) override {
    if (going_back_) return end(std::move(text_));
    if (!look(arrival)) return std::nullopt;
    going_back_ = true;
    travels().set_out_to(start_);
    return std::nullopt;
  }
  // Fills text_. False: there is another journey to be made first.
  virtual bool look(const hypervisor::Arrival& arrival) = 0;

  const Gpa address_;
  const std::uint64_t size_;
  std::string text_;

 private:
  const Place start_;
  bool going_back_ = false;
};

class ValueWork final : public LookWork {
 public:
  ValueWork(std::shared_ptr<Shared> shared, const Place& place, Gpa address, std::uint64_t size,
            std::string note)
      : LookWork(std::move(shared), address, size), note_(std::move(note)) {
    travels().set_out_to(place);
  }

 private:
  bool look(const hypervisor::Arrival&) override {
    text_ = fmt::format("at {}\n{}\n{}", travels().count().value, bytes(), note_);
    return true;
  }
  std::string note_;
};

class WriteWork final : public LookWork {
 public:
  WriteWork(std::shared_ptr<Shared> shared, Gpa address, std::uint64_t size)
      : LookWork(std::move(shared), address, size) {
    travels().set_out_to_last_write(address, size);
  }

 private:
  bool look(const hypervisor::Arrival& arrival) override {
    using Reason = hypervisor::Arrival::Reason;
    if (arrival.hit) {
      const auto* watch = std::get_if<hypervisor::exit::PhysicalWatchpoint>(&*arrival.hit);
      const auto rip = shared_->subjects.vm.vcpu(arrival.vcpu).read_register(x86::Register::Rip);
      text_ = fmt::format("at {}\n{} vCPU {}, rip {:#x}\nold {}\n", travels().count().value,
                          watch != nullptr && watch->by_device ? "a device, at" : "by",
                          arrival.vcpu.value, rip ? rip->as_u64() : 0, bytes());
      travels().set_out_past_write(arrival.vcpu);
      return false;
    }
    if (!text_.empty()) {
      text_ += fmt::format("new {}\n", bytes());
      return true;
    }
    if (arrival.reason == Reason::Begin)
      text_ = fmt::format("nothing was written there since {}, where the history begins\n",
                          travels().beginning().at.progress.instructions.value);
    return true;
  }
};

// ---- Arguments

// A count, start, present, -N or a bookmark; or what is wrong with it. Also with a place there may
// be something to say.
std::optional<Place> find_place(const Shared& shared, const std::string& text,
                                std::string& complaint) {
  const Travels& travels = shared.travels();
  const std::uint64_t first = travels.beginning().at.progress.instructions.value,
                      last = travels.present().at.progress.instructions.value;
  complaint.clear();
  if (text == "start") return travels.beginning();
  if (text == "present") return travels.present();
  std::optional<std::uint64_t> count;
  if (text.starts_with('-')) {
    count = parse_number(std::string_view(text).substr(1));
    const std::uint64_t now = travels.count().value;
    if (count && *count > now - first) {
      complaint =
          fmt::format("{} is farther back than the history goes: this is its start\n", text);
      return travels.beginning();
    }
    if (count) count = now - *count;
  } else {
    count = parse_number(text);
  }
  if (!count) {
    const auto found = shared.bookmarks.find(text);
    if (found == shared.bookmarks.end()) {
      complaint =
          fmt::format("'{}' is no count, no -N, not start, not present and no bookmark\n", text);
      return std::nullopt;
    }
    if (found->second < travels.beginning() || found->second > travels.present()) {
      complaint = fmt::format("'{}' is outside of the history, {} to {}\n", text, first, last);
      return std::nullopt;
    }
    return found->second;
  }
  if (*count < first || *count > last) {
    complaint = fmt::format("{} is outside of the history, {} to {}\n", *count, first, last);
    return std::nullopt;
  }
  if (*count == last) return travels.present();
  if (*count == first) return travels.beginning();
  return travels.place_of({*count});
}

// A linear address of some vCPU's present address space, or `physical ADDRESS`.
std::optional<Gpa> find_address(const Shared& shared, std::vector<std::string>& words,
                                std::string& complaint) {
  const bool physical = !words.empty() && words.front() == "physical";
  if (physical) words.erase(words.begin());
  const auto number = words.empty() ? std::nullopt : parse_number(words.front());
  if (!number) {
    complaint =
        "wants an address, as 0x1000 or 4096; GDB fills in a symbol or a register by eval: "
        "eval \"monitor last-write %p\", &SYMBOL\n";
    return std::nullopt;
  }
  words.erase(words.begin());
  if (physical) return Gpa{*number};
  hypervisor::Vm& vm = shared.subjects.vm;
  for (std::uint32_t i = 0; i < vm.vcpu_count(); ++i) {
    if (!vm.vcpu({i}).active()) continue;
    if (const auto gpa = hypervisor::translate(vm, {i}, Gva{*number})) return *gpa;
  }
  complaint =
      fmt::format("{:#x} is not mapped now; 'physical ADDRESS' goes without tables\n", *number);
  return std::nullopt;
}

std::optional<std::uint64_t> find_length(const std::vector<std::string>& words, Gpa address,
                                         std::uint64_t usual, std::string& complaint) {
  const auto length = words.empty() ? std::optional(usual) : parse_number(words.front());
  if (length && words.size() <= 1 && *length >= 1 && *length <= kMostBytes &&
      address.value % kPageSize + *length <= kPageSize)
    return length;
  complaint = "the length is 1 to 4096 bytes, within one page\n";
  return std::nullopt;
}

using Begin = std::function<std::unique_ptr<debug::MonitorWork>(std::string_view)>;

std::unique_ptr<debug::MonitorWork> say(std::string text) {
  return std::make_unique<Nothing>(std::move(text));
}

debug::MonitorCommand command(std::string name, std::string usage, std::string help) {
  debug::MonitorCommand result;
  result.name = std::move(name);
  result.usage = std::move(usage);
  result.help = std::move(help);
  return result;
}

// One that changes nothing.
debug::MonitorCommand look(std::string name, std::string usage, std::string help) {
  debug::MonitorCommand result = command(std::move(name), std::move(usage), std::move(help));
  result.looks = true;
  return result;
}

debug::MonitorCommand journey(std::string name, std::string usage, std::string help) {
  debug::MonitorCommand result = command(std::move(name), std::move(usage), std::move(help));
  result.moves_machine = true;
  return result;
}

}  // namespace

void add_time_commands(debug::ServerOptions& server, const TimeSubjects& subjects) {
  const auto shared = std::make_shared<Shared>(Shared{subjects, {}, 0});
  // Not while the machine has to stay where it is.
  const auto moving = [shared](std::string name, Begin begin) -> Begin {
    return [shared, name = std::move(name), begin = std::move(begin)](std::string_view text) {
      const auto why = shared->subjects.why_still();
      return why ? say(fmt::format("{}: {}\n", name, *why)) : begin(text);
    };
  };
  const auto add = [&](debug::MonitorCommand made, Begin begin) {
    const std::string name = made.name;
    made.begin = [shared, begin = std::move(begin), name](std::string_view text) {
      if (shared->subjects.travels == nullptr)
        return say(fmt::format("{}: {}\n", name, shared->subjects.why_not));
      return begin(text);
    };
    server.commands.push_back(std::move(made));
  };
  add(look("when", "", "Shows where in its run the machine is: instructions retired by all vCPUs."),
      [shared](std::string_view) { return say(describe(*shared)); });
  add(journey("goto", "COUNT|-N|start|present|NAME",
              "Goes to a moment of the run.\n"
              "COUNT is the instructions retired by all vCPUs, as when shows it; -N is N of them "
              "back from\n"
              "here, start and present are the ends of the history, NAME is a bookmark."),
      moving("goto", [shared](std::string_view text) -> std::unique_ptr<debug::MonitorWork> {
        const std::vector<std::string> words = words_of(text);
        std::string complaint = "wants COUNT, -N, start, present or the NAME of a bookmark\n";
        const auto place =
            words.size() == 1 ? find_place(*shared, words[0], complaint) : std::nullopt;
        if (!place) return say("goto: " + complaint);
        // It would stand there, while the client believes that it runs.
        if (!shared->subjects.is_stopped())
          return say("goto: the guest is running; stop it first\n");
        return std::make_unique<GotoWork>(shared, *place, std::move(complaint));
      }));
  add(command("bookmark", "[NAME]", "Gives this moment of the run a name, for goto."),
      [shared](std::string_view text) {
        const std::vector<std::string> words = words_of(text);
        if (words.size() > 1) return say("bookmark: a name has no blanks\n");
        if (!words.empty() && words[0].size() > kLongestName)
          return say(fmt::format("bookmark: a name has at most {} characters\n", kLongestName));
        std::string name = words.empty() ? std::to_string(++shared->unnamed) : words[0];
        if (words.empty()) name.insert(0, "mark");
        if (parse_number(name) || name.starts_with('-') || name == "start" || name == "present")
          return say(fmt::format("bookmark: '{}' means something else to goto\n", name));
        if (shared->bookmarks.size() >= kMostBookmarks && !shared->bookmarks.contains(name))
          return say(fmt::format("bookmark: there are {} already\n", kMostBookmarks));
        shared->bookmarks[name] = shared->travels().here();
        return say(fmt::format("{} is at {}\n", name, shared->travels().count().value));
      });
  add(look("bookmarks", "", "Lists the moments that have names."), [shared](std::string_view) {
    std::string list;
    for (const auto& [name, place] : shared->bookmarks)
      list += fmt::format("{} at {}\n", name, place.at.progress.instructions.value);
    return say(list.empty() ? "There are no bookmarks.\n" : list);
  });
  add(command(
          "last-write", "[physical] ADDRESS [LENGTH]",
          "Shows who wrote to memory last, before now.\n"
          "That is when, which vCPU or device, at which RIP, and the bytes before and after. "
          "LENGTH is 8\n"
          "without one. 'goto' the count to be there. ADDRESS is a number; with a symbol in GDB:\n"
          "  eval \"monitor last-write %p\", &SYMBOL"),
      moving("last-write", [shared](std::string_view text) -> std::unique_ptr<debug::MonitorWork> {
        std::vector<std::string> words = words_of(text);
        std::string complaint;
        const auto address = find_address(*shared, words, complaint);
        const std::uint64_t usual =
            address ? std::min<std::uint64_t>(8, kPageSize - address->value % kPageSize) : 8;
        const auto length = address ? find_length(words, *address, usual, complaint) : std::nullopt;
        if (!length) return say("last-write: " + complaint);
        const hypervisor::MemoryKind kind = shared->subjects.vm.memory().kind(*address);
        if (kind == hypervisor::MemoryKind::Mmio || kind == hypervisor::MemoryKind::Nothing) {
          return say(fmt::format(
              "last-write: no memory is at physical {:#x}, and no other writes are kept\n",
              address->value));
        }
        return std::make_unique<WriteWork>(shared, *address, *length);
      }));
  add(command("value-at", "COUNT [physical] ADDRESS LENGTH",
              "Shows what memory had at a moment of the run.\n"
              "COUNT is what goto takes, ADDRESS a number as for last-write."),
      moving("value-at", [shared](std::string_view text) -> std::unique_ptr<debug::MonitorWork> {
        std::vector<std::string> words = words_of(text);
        std::string complaint = "wants a place, an address and a length; see help value-at\n";
        std::optional<Place> place;
        if (words.size() >= 3) place = find_place(*shared, words[0], complaint);
        if (!place) return say("value-at: " + complaint);
        words.erase(words.begin());
        std::string note = std::exchange(complaint, {});
        const auto address = find_address(*shared, words, complaint);
        const auto length = address ? find_length(words, *address, 8, complaint) : std::nullopt;
        if (!length) return say("value-at: " + complaint);
        return std::make_unique<ValueWork>(shared, *place, *address, *length, std::move(note));
      }));
  add(look("history", "", "Shows what is kept of the past, and what it takes."),
      [shared](std::string_view) {
        const time::History& history = shared->travels().history();
        std::string text = fmt::format("{} marks from {} to {}, {} of {} KiB\n", history.marks(),
                                       shared->travels().beginning().at.progress.instructions.value,
                                       shared->travels().present().at.progress.instructions.value,
                                       history.bytes() >> 10, history.limit() >> 10);
        for (std::size_t i = 0; i < history.marks(); ++i)
          text += fmt::format("{} and {} pages changed after it\n",
                              history.mark(i).place.at.progress.instructions.value,
                              history.pages_after(i));
        return say(text);
      });
  add(command("branch", "",
              "Drops what came after this moment of the past, and goes on from here."),
      moving("branch", [shared](std::string_view text) {
        if (!words_of(text).empty())
          return say("branch: takes no argument; nothing is forgotten\n");
        if (const std::string why = shared->subjects.why_no_branch(); !why.empty())
          return say("branch: " + why + "\n");
        const Result<void> done = shared->travels().branch();
        if (!done) return say("branch: " + done.error().text() + "\n");
        shared->subjects.branched();
        return say("What came after is forgotten: this is the present.\n");
      }));
}

}  // namespace ringside::cli
