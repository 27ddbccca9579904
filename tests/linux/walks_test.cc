// Random walks through the run of Debian's kernel with several vCPUs: typed input, writes to a
// disk, a debugger that has stepped and held single vCPUs. Every place that is come to, whatever
// the way there, has the state that was seen at it first; the run that goes on afterwards is the
// one that a replay of its inputs has, which has never gone back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <sstream>

#include "linux/content.h"
#include "linux/linux_guest.h"
#include "support/debug_client.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using Stream = ChildProcess::Stream;

// More than usual, by RINGSIDE_TRAVELS.
unsigned effort() {
  const char* const given = std::getenv("RINGSIDE_TRAVELS");
  return given == nullptr ? 1 : static_cast<unsigned>(std::max(1, std::atoi(given)));
}

// A client that leads the machine back and forth, and knows what it has seen.
class Walker {
 public:
  Walker(std::uint16_t port, std::string image, unsigned seed)
      : client_(port), image_(std::move(image)), random_(seed) {
    announced_ = ask("qSupported:multiprocess+;swbreak+;hwbreak+;error-message+");
    ask("vCont?");
    ask("?");
  }

  const std::string& announced() const { return announced_; }
  std::uint64_t some(std::uint64_t below) { return random_() % below; }
  std::string ask(const std::string& packet) {
    client_.send(packet);
    return answer();
  }
  std::string say(const std::string& command) { return unhex(ask("qRcmd," + hex(command))); }

  // ---- The present
  // The guest runs, and takes what is typed meanwhile.
  void let_run() { client_.send("vCont;c"); }
  void let_run_for(std::chrono::milliseconds time) { go("vCont;c", time); }
  std::string interrupt() {
    client_.interrupt();
    return answer();
  }
  // One vCPU gets on while the others are held: steps, and a run of its own.
  void act_on_one() {
    const std::string vcpu = somebody();
    for (std::uint64_t steps = some(20); steps > 0; --steps)
      go("vCont;s:" + vcpu);
    if (some(2) == 0) go("vCont;c:" + vcpu, std::chrono::milliseconds(some(4)));
    if (some(2) == 0) go("vCont;s:" + somebody() + ";c", std::chrono::milliseconds(some(4)));
  }
  void detach() { client_.detach(); }

  // ---- Walking
  void watch_for(std::string packet) { stops_.push_back(std::move(packet)); }
  void walk_a_step() {
    switch (some(16)) {
      case 0:  // anywhere
        go_to(std::to_string(some(present_count_ + 1)));
        break;
      case 1:  // not far from the present
      case 2:
      case 3:
        go_to(std::to_string(present_count_ - some(std::min(present_count_, kNear))));
        break;
      case 4:
        go_to("-" + std::to_string(some(100'000)));
        break;
      case 5:  // where it has been, perhaps just now
        if (!names_.empty()) go_to_known(some(names_.size()));
        break;
      case 6:
      case 7:
        if (!names_.empty())
          go_to_known(names_.size() - 1 - some(std::min<std::size_t>(names_.size(), 30)));
        break;
      case 8:
      case 9:
        ask("Hc" + somebody());
        go("bs");
        break;
      case 10:
        go("bs");
        break;
      case 11:
      case 12:
        go("vCont;s:" + somebody() + ";c");
        break;
      case 13:
        with_a_stop("bc");
        break;
      case 14:
        with_a_stop("vCont;c");
        break;
      default:
        go_to("present");
        break;
    }
    look();
  }
  void return_to_present() {
    go_to("present");
    look();
  }

  // Whether the state here is the one that was seen here, and the image the present's.
  void look() {
    const std::string when = say("when"), hash = say("hash");
    // Count, time, and what orders moments of one count; not how far the history goes.
    const bool is_present = when.find("in the present") != std::string::npos;
    const std::string place = key_of(when);
    const auto [known, is_new] = seen_.emplace(place, hash);
    ASSERT_EQ(known->second, hash) << place << trace();
    repeated_ += is_new ? 0 : 1;
    if (!expected_.empty()) {
      ASSERT_EQ(place, expected_) << trace();
    }
    expected_.clear();
    if (is_new && names_.size() < kMostNames) {
      say("bookmark " + name(names_.size()));
      names_.push_back(place);
    }
    if (is_present && place != present_) {
      present_ = place;
      present_count_ = std::stoull(when.substr(3));
      on_disk_ = content_of(image_);
    }
    ASSERT_TRUE(content_of(image_) == on_disk_) << "the image is the present's" << trace();
  }
  std::size_t repeated() const { return repeated_; }
  std::size_t places() const { return seen_.size(); }

 private:
  static constexpr std::uint64_t kNear = 100'000'000;
  static constexpr std::size_t kMostNames = 5'000;

  static Deadline patience() { return Deadline(std::chrono::seconds(300)); }
  std::string answer() {
    std::string reply = client_.receive(patience());
    while (reply.starts_with('O') && reply != "OK")
      reply = client_.receive(patience());
    return reply;
  }
  // What resumes, to its end; interrupted where that does not come by itself.
  std::string go(const std::string& packet,
                 std::chrono::milliseconds longest = std::chrono::seconds(1)) {
    note(packet);
    client_.send(packet);
    if (client_.silent_for(longest)) client_.interrupt();
    const std::string reply = answer();
    if (!reply.starts_with('T') && !reply.starts_with('S'))
      throw std::runtime_error(packet + " got " + reply + trace());
    return reply;
  }
  static std::string name(std::size_t number) { return "place" + std::to_string(number); }
  void go_to_known(std::size_t number) {
    go_to(name(number));
    expected_ = names_[number];
  }
  void go_to(const std::string& place) {
    note("goto " + place);
    const std::string said = say("goto " + place);
    const bool is_count = place.find_first_not_of("0123456789") == std::string::npos;
    if (!said.starts_with("at " + (is_count ? place + "\n" : "")))
      throw std::runtime_error("goto " + place + ": " + said + trace());
    if (place == "present") expected_ = present_;
  }
  void with_a_stop(const std::string& packet) {
    const std::string& stop = stops_[some(stops_.size())];
    note("Z" + stop);
    ask("Z" + stop);
    go(packet);
    ask("z" + stop);
  }
  std::string somebody() {
    const std::vector<std::string> all = client_.threads();
    return all[some(all.size())];
  }
  static std::string key_of(const std::string& when) {
    std::istringstream lines(when);
    std::string count, time, order;
    std::getline(lines, count);
    std::getline(lines, time);
    std::getline(lines, order);
    return count + ", " + time.substr(0, time.find(',')) + ", " + order;
  }
  void note(std::string step) {
    steps_.push_back(std::move(step));
    if (steps_.size() > 40) steps_.pop_front();
  }
  std::string trace() const {
    std::string text = "\nafter";
    for (const std::string& step : steps_)
      text += " " + step + ",";
    return text;
  }

  DebugClient client_;
  const std::string image_;
  std::minstd_rand random_;
  std::string announced_;
  std::vector<std::string> stops_;           // breakpoints and watchpoints, as packets
  std::map<std::string, std::string> seen_;  // a place, and the hash there
  std::vector<std::string> names_;           // the places of bookmarks
  std::string present_, expected_;           // places
  std::uint64_t present_count_ = 0;
  std::string on_disk_;
  std::deque<std::string> steps_;
  std::size_t repeated_ = 0;
};

struct Setting {
  unsigned cpus;
  const char* translate;
  unsigned steps;
};
void PrintTo(const Setting& setting, std::ostream* stream) {
  *stream << setting.cpus << " vCPUs, --translate " << setting.translate;
}

class LinuxWalks : public ::testing::TestWithParam<Setting> {
 protected:
  void SetUp() override {
    if (engine() != "soft") GTEST_SKIP() << "the past is the software CPU's";
    if (!files_.missing().empty()) GTEST_SKIP() << files_.missing();
    std::filesystem::create_directory(folder_);
  }
  // What a failure can be looked into with stays.
  void TearDown() override {
    if (!HasFailure()) std::filesystem::remove_all(folder_);
  }

  std::string image() const { return folder_ + "/image"; }
  void make_image() const {
    std::ofstream(image(), std::ios::binary | std::ios::trunc) << std::string(1u << 20, '.');
  }
  LinuxOptions options(std::vector<std::string> more) const {
    more.insert(more.end(), {"-d", image(), "--log", "debug"});
    return {.cpus = GetParam().cpus, .memory = "192M", .arguments = std::move(more)};
  }
  // While the guest runs.
  static std::string address_of(LinuxShell& shell, const std::string& symbol) {
    const std::string line = shell.output_of("grep ' " + symbol + "$' /proc/kallsyms");
    std::string digits = line.substr(0, line.find(' '));
    return digits;
  }
  // Writes the disk again and again and reads it back, from it and not from memory. Says each time
  // what it has found.
  static std::string work(unsigned round) {
    const std::string number = std::to_string(round);
    return "for i in 1 2 3 4; do seq " + number +
           "$i 9999 | dd of=/dev/vda bs=4k count=9 seek=$((i * 7 + " + number +
           ")) conv=notrunc,fsync 2>/dev/null; echo 3 >/proc/sys/vm/drop_caches; "
           "echo at-" +
           number + "-$i; sha256sum /dev/vda; done; cat /proc/interrupts | sha256sum";
  }

  const LinuxFiles files_{"cloud-amd64"};
  const std::string folder_ = ::testing::TempDir() + "ringside-walks-" +
                              std::to_string(::getpid()) + "-" + std::to_string(GetParam().cpus) +
                              GetParam().translate;
};

TEST_P(LinuxWalks, EveryPlaceHasOneStateAndThePresentGoesOn) {
  constexpr unsigned kRounds = 5;
  const std::string journal = folder_ + "/journal";
  std::string end, said, written;
  make_image();
  {
    LinuxGuest guest(
        files_, options({"-G", "w0", "--record", journal, "--translate", GetParam().translate}));
    const std::string target = guest.gdb_target();
    LinuxShell& shell = guest.shell();
    Walker walker(static_cast<std::uint16_t>(std::stoi(target.substr(target.rfind(':') + 1))),
                  image(), GetParam().cpus);
    ASSERT_THAT(walker.announced(), HasSubstr(";ReverseStep+;ReverseContinue+"));
    // Stopped and stepped on its way, also while the processors are being started.
    for (unsigned stops = 0; stops < 12; ++stops) {
      walker.let_run_for(std::chrono::milliseconds(walker.some(500)));
      walker.act_on_one();
      walker.look();
      ASSERT_FALSE(HasFatalFailure());
    }
    walker.let_run();
    shell.await_prompt();
    shell.load_disk_driver();
    for (const char* symbol :
         {"do_sys_openat2", "vfs_write", "submit_bio", "hrtimer_interrupt", "schedule"})
      walker.watch_for("0," + address_of(shell, symbol) + ",1");
    walker.watch_for("2," + address_of(shell, "jiffies") + ",8");
    walker.interrupt();

    unsigned steps = GetParam().steps * effort();
    for (unsigned round = 0; round < kRounds; ++round) {
      shell.start(work(round));
      walker.let_run();
      guest.process().await(Stream::Output, "at-" + std::to_string(round) + "-2\r\n",
                            boot_deadline());
      walker.interrupt();
      for (unsigned i = 0; i < 4; ++i) {
        walker.act_on_one();
        walker.look();
        ASSERT_FALSE(HasFatalFailure());
      }
      for (unsigned step = steps / kRounds; step > 0; --step) {
        walker.walk_a_step();
        ASSERT_FALSE(HasFatalFailure());
      }
      walker.return_to_present();
      ASSERT_FALSE(HasFatalFailure());
      walker.let_run();
      EXPECT_EQ(shell.finish(boot_deadline()).status, 0);
      walker.interrupt();
    }
    EXPECT_GT(walker.repeated(), steps / 10);
    RecordProperty("places", static_cast<int>(walker.places()));
    RecordProperty("repeated", static_cast<int>(walker.repeated()));
    walker.detach();
    EXPECT_EQ(shell.end("poweroff -f"), 1);
    end = state_of(guest.process());
    said = guest.process().text(Stream::Output);
    written = content_of(image());
  }
  ASSERT_THAT(end, HasSubstr("hash"));
  // The same inputs, and nobody who goes back.
  make_image();
  LinuxGuest again(files_, options({"--replay", journal}));
  again.process().close_input();
  EXPECT_EQ(again.process().await_exit(boot_deadline()), 1) << again.process().text(Stream::Error);
  EXPECT_EQ(state_of(again.process()), end);
  EXPECT_EQ(again.process().text(Stream::Output), said);
  EXPECT_TRUE(content_of(image()) == written);
}

// A thousand journeys in all.
INSTANTIATE_TEST_SUITE_P(Machines, LinuxWalks,
                         ::testing::Values(Setting{2, "on", 450}, Setting{4, "on", 450},
                                           Setting{2, "off", 100}),
                         [](const ::testing::TestParamInfo<Setting>& one) {
                           return std::to_string(one.param.cpus) +
                                  (one.param.translate == std::string("on") ? "Translated"
                                                                            : "Interpreted");
                         });

}  // namespace
}  // namespace ringside::testing
