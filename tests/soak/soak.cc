// Debian's Linux with four vCPUs testing itself without end, under a debugger that does everything
// at random and leaves abruptly, while others come to look. At the end the guest must have found
// nothing wrong, the process must not have grown, and a replay of the machine's inputs, without any
// debugger, must come to the same state.
//
//   ringside_soak [MINUTES [SEED]]
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>

#include "linux/linux_guest.h"
#include "soak/controller.h"

namespace ringside::testing {
namespace {

using Clock = std::chrono::steady_clock;
using Stream = ChildProcess::Stream;

constexpr unsigned kVcpus = 4;
// What is bounded fills up first, in MiB: the guest's memory and history as the options below say,
// host code (which is mapped twice), decoded instructions and blocks
// (src/engine/soft/state/code_cache.h). The rest is the program, its debuggers, the trace and the
// allocator's gaps.
constexpr std::uint64_t kBounded = 192 + 64 + 2 * 24 + 40 + 16, kRest = 40;
// Where most of that is full half-way, the second half may add this.
constexpr std::uint64_t kMostlyFull = kBounded - 60, kMayGrow = 24;

// Of what the guest says about a test that went wrong.
constexpr std::size_t kShown = 2000;

std::uint64_t resident_mebibytes(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/statm");
  std::uint64_t all = 0, resident = 0;
  file >> all >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) >> 20;
}

std::size_t count_of(const std::string& text, std::string_view word) {
  std::size_t count = 0;
  for (std::size_t at = 0; (at = text.find(word, at)) != std::string::npos; at += word.size())
    ++count;
  return count;
}

// Debuggers that look, up to sixteen, each for some looks.
class Observers {
 public:
  Observers(std::uint16_t port, std::minstd_rand& random, Deeds& deeds)
      : port_(port), random_(random), deeds_(deeds) {}

  // Beside a controller, who must have come before.
  void come_look_and_go() {
    while (observers_.size() < random_() % 16) {
      observers_.push_back(std::make_unique<DebugClient>(port_));
      ++deeds_["observer"];
    }
    for (const auto& observer : observers_) {
      observer->request("m1000,40");
      observer->request("g");
      ++deeds_["look of an observer"];
    }
    while (observers_.size() > random_() % 16) {
      if (random_() % 2 == 0) observers_.back()->reset();
      observers_.pop_back();
    }
  }
  void leave() { observers_.clear(); }

 private:
  const std::uint16_t port_;
  std::minstd_rand& random_;
  Deeds& deeds_;
  std::vector<std::unique_ptr<DebugClient>> observers_;
};

class Soak {
 public:
  Soak(std::chrono::minutes time, unsigned seed) : time_(time), random_(seed) {
    std::filesystem::create_directories(folder_);
  }
  ~Soak() { std::filesystem::remove_all(folder_); }
  Soak(const Soak&) = delete;
  Soak& operator=(const Soak&) = delete;

  // Throws where something does not hold.
  void run() {
    std::string end, said;
    {
      LinuxGuest guest(files_, options({"-G", "0", "--history", "64M", "--files", folder_,
                                        "--record", journal()}));
      endure(guest);
      end = state_of(guest.process());
      said = guest.process().text(Stream::Output);
    }
    std::printf("soak: %s; now the replay\n", end.c_str());
    LinuxGuest again(files_, options({"--replay", journal()}));
    again.process().close_input();
    check(again.process().await_exit(Deadline(4 * time_ + std::chrono::minutes(10))) == 1,
          "the replay ends like the run");
    check(state_of(again.process()) == end,
          "the replay ends in the state of the run, not in " + state_of(again.process()));
    check(again.process().text(Stream::Output) == said, "the replay says what the run said");
  }

 private:
  static void check(bool holds, const std::string& what) {
    if (!holds) throw std::runtime_error("this does not hold: " + what);
  }
  std::string journal() const { return folder_ + "/journal"; }
  static LinuxOptions options(std::vector<std::string> more) {
    more.insert(more.end(), {"--log", "debug"});
    return {.cpus = kVcpus, .memory = "192M", .arguments = std::move(more)};
  }

  static Places places(LinuxShell& shell) {
    const auto address_of = [&](const std::string& symbol) {
      const std::string line = shell.output_of("grep ' " + symbol + "$' /proc/kallsyms");
      return line.substr(0, line.find(' '));
    };
    Places places;
    for (const char* symbol : {"do_sys_openat2", "vfs_write", "schedule", "hrtimer_interrupt",
                               "handle_mm_fault", "do_exit", "wake_up_new_task", "kmem_cache_free"})
      places.code.push_back(address_of(symbol));
    places.data = address_of("jiffies");
    return places;
  }

  void endure(LinuxGuest& guest) {
    const std::string target = guest.gdb_target();
    const auto port = static_cast<std::uint16_t>(std::stoi(target.substr(target.rfind(':') + 1)));
    LinuxShell& shell = guest.shell();
    shell.await_prompt();
    const Places places = Soak::places(shell);
    shell.output_of(
        // A shell that tells of a job's end shows what it was: not the word that is looked for.
        "wrong=wrong; for i in 1 2 3; do (while [ ! -e /tmp/over ]; do if exercise forks threads "
        "signals floats "
        ">/tmp/said$i; then echo round-is-over; else echo went-$wrong; cat /tmp/said$i; fi; done) "
        "& "
        "done");
    Observers observers(port, random_, deeds_);
    const auto begin = Clock::now();
    auto next_line = begin;
    std::uint64_t half_way = 0;
    std::size_t rounds = 0;
    while (Clock::now() - begin < time_) {
      {
        Controller controller(port, places, random_, deeds_);
        if (random_() % 3 == 0) observers.come_look_and_go();
        controller.live();
      }
      // The next one would look, not control, while another is left that has come before it.
      observers.leave();
      check(guest.process().running(), "the machine runs");
      const std::uint64_t memory = resident_mebibytes(guest.process().pid());
      check(memory <= kBounded + kRest,
            "the process stays within its bounds: it has " + std::to_string(memory) + " MiB");
      if (half_way == 0 && Clock::now() - begin > time_ / 2) half_way = memory;
      if (Clock::now() < next_line) continue;
      next_line += std::chrono::seconds(30);
      // Whoever is gone, the guest gets on.
      const std::size_t before = rounds;
      for (const Deadline deadline(std::chrono::minutes(10)); rounds == before;
           guest.process().await_more(Stream::Output, deadline))
        rounds = count_of(guest.process().text(Stream::Output), "round-is-over");
      std::printf(
          "soak: %lld s, %zu rounds of the guest's test, %llu MiB\n",
          static_cast<long long>(
              std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - begin).count()),
          rounds, static_cast<unsigned long long>(memory));
      std::fflush(stdout);
    }
    const std::uint64_t last = resident_mebibytes(guest.process().pid());
    for (const auto& [deed, times] : deeds_)
      std::printf("soak: %-24s %llu\n", deed.c_str(), static_cast<unsigned long long>(times));
    std::printf("soak: %llu MiB half way, %llu at the end\n",
                static_cast<unsigned long long>(half_way), static_cast<unsigned long long>(last));
    check(half_way < kMostlyFull || last <= half_way + kMayGrow, "the process does not grow");
    check(shell.run("touch /tmp/over; wait", Deadline(std::chrono::minutes(10))).status == 0,
          "the guest's test ends");
    const std::string& said = guest.process().text(Stream::Output);
    const std::size_t wrong = said.find("went-wrong");
    check(wrong == std::string::npos, "the guest's test finds nothing wrong; it says " +
                                          said.substr(std::min(wrong, said.size()), kShown));
    check(shell.end("poweroff -f") == 1, "the guest ends");
  }

  const std::chrono::minutes time_;
  std::minstd_rand random_;
  const LinuxFiles files_{"cloud-amd64"};
  const std::string folder_ = std::filesystem::temp_directory_path().string() + "/ringside-soak-" +
                              std::to_string(::getpid());
  Deeds deeds_;
};

}  // namespace
}  // namespace ringside::testing

int main(int count, char** arguments) {
  const int minutes = count > 1 ? std::atoi(arguments[1]) : 4;
  const unsigned seed = count > 2 ? static_cast<unsigned>(std::atoi(arguments[2])) : 1;
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
  std::printf("soak: %d minutes, seed %u\n", minutes, seed);
  try {
    const ringside::testing::LinuxFiles files("cloud-amd64");
    if (!files.missing().empty()) throw std::runtime_error(files.missing());
    ringside::testing::Soak(std::chrono::minutes(minutes), seed).run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "soak: failed: %s\n", error.what());
    return 1;
  }
  std::printf("soak: all held\n");
  return 0;
}
