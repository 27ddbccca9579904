// What a client of non-stop mode knows, by what it was sent: which vCPUs are stopped, and whether a
// notification is still to be acknowledged. Follows a client that sends one packet at a time and
// takes every answer at once, and gives up on any other. For the targets alone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/hex.h"
#include "script.h"
#include "toy_machine.h"

namespace ringside::fuzz {

class ToldStops {
 public:
  explicit ToldStops(ToyMachine& machine) : machine_(machine), stopped_(machine.vcpus) {}

  // A client has come, or gone.
  void begin() {
    follows_ = !machine_.guest.vm.lazy;
    non_stop_ = notified_ = false;
    forget_all();
    sent_.clear();
  }
  void end() {
    begin();
    follows_ = false;
  }
  // Until the next client.
  void lose_track() {
    follows_ = false;
    forget_all();
  }
  void forget(VcpuId vcpu) { stopped_[vcpu.value] = false; }
  void forget_all() { stopped_.assign(stopped_.size(), false); }
  bool is_non_stop() const { return follows_ && non_stop_; }

  void sends(std::string_view packet) {
    // Whose answer would the next one be?
    if (!sent_.empty()) lose_track();
    if (packet == "k") return lose_track();  // has no answer; an extended session goes on
    sent_ = packet;
    const bool stays = packet.substr(0, 7) == "vCont;t" && packet.find(';', 7) == packet.npos;
    const bool looks = packet == "vStopped" || packet == "?" || packet == "vCtrlC" ||
                       (!packet.empty() &&
                        std::string_view("mMpPgGzZHqT").find(packet[0]) != std::string_view::npos);
    if (!stays && !looks) forget_all();
  }

  // What the server says, frame by frame.
  void hears(std::string_view said) {
    while (follows_ && !said.empty()) {
      const char first = said.front();
      said.remove_prefix(1);
      if (first != '$' && first != '%') continue;
      const std::size_t end = std::min(said.find('#'), said.size());
      if (first == '$') {
        take_answer(said.substr(0, end));
      } else {
        take_notification(said.substr(0, end));
      }
      said.remove_prefix(end);
    }
  }

  // Nobody runs of whom the client knows that it is stopped.
  void check_they_stand() const {
    for (unsigned i = 0; i < stopped_.size(); ++i)
      check(!stopped_[i] || !machine_.guest.vm.vcpu({i}).in_guest());
  }

 private:
  void take_answer(std::string_view answer) {
    const std::string packet = std::exchange(sent_, {});
    if (packet.substr(0, 9) == "QNonStop:" && answer == "OK") {
      const bool wanted = parse_hex(packet.substr(9)) == 1u;  // zeros may come before it
      if (non_stop_ != wanted) notified_ = false;
      non_stop_ = wanted;
    } else if (packet == "D" || packet == "k" || packet.substr(0, 2) == "D;" ||
               packet.substr(0, 5) == "vKill" || packet.substr(0, 4) == "vRun" ||
               packet.substr(0, 7) == "vAttach") {
      lose_track();  // an extended session goes on, in either mode
    } else if (non_stop_ && (packet == "vStopped" || packet == "?")) {
      notified_ = answer != "OK";
      take_stop(answer);
    }
  }
  void take_notification(std::string_view notification) {
    constexpr std::string_view kStop = "Stop:";
    check(notification.substr(0, kStop.size()) == kStop);
    // One at a time, and only of a machine whose threads stop one by one.
    check(non_stop_ && !notified_);
    notified_ = true;
    take_stop(notification.substr(kStop.size()));
  }
  void take_stop(std::string_view stop) {
    if (stop.empty() || stop.front() != 'T') return;
    constexpr std::string_view kThread = "thread:", kProcess = "p01.";
    const std::size_t found = stop.find(kThread);
    check(found != stop.npos);
    std::string_view id = stop.substr(found + kThread.size());
    if (id.substr(0, kProcess.size()) == kProcess) id.remove_prefix(kProcess.size());
    const auto number = parse_hex(id.substr(0, id.find(';')));
    check(number && *number > 0 && *number <= stopped_.size());
    const auto vcpu = static_cast<std::uint32_t>(*number - 1);
    check(!machine_.guest.vm.vcpu({vcpu}).in_guest());
    stopped_[vcpu] = true;
  }

  ToyMachine& machine_;
  std::vector<bool> stopped_;
  std::string sent_;  // and not answered yet
  bool follows_ = false;
  bool non_stop_ = false;
  bool notified_ = false;
};

}  // namespace ringside::fuzz
