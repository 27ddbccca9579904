// Debian's Linux with four vCPUs testing itself without end, under a debugger that does everything
// at random and leaves abruptly, while others come to look. At the end the guest must have found
// nothing wrong, the process must not have grown, and a replay of the machine's inputs, without any
// debugger, must come to the same state.
//
//   ringside_soak [MINUTES [SEED]]
#include <unistd.h>

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
// What the process may grow by in its second half, in MiB: pages of the guest and of tables that
// were not touched before.
constexpr std::uint64_t kMayGrow = 64;

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
        "for i in 1 2 3; do (while [ ! -e /tmp/over ]; do if exercise forks threads signals floats "
        ">/tmp/said$i; then echo round-is-over; else echo went-wrong; cat /tmp/said$i; fi; done) & "
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
    check(last <= half_way + kMayGrow, "the process does not grow");
    check(shell.run("touch /tmp/over; wait", Deadline(std::chrono::minutes(10))).status == 0,
          "the guest's test ends");
    check(count_of(guest.process().text(Stream::Output), "went-wrong") == 0,
          "the guest's test finds nothing wrong");
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
