// A guest that clients of QEMU's machine protocol look after, by the real socket.
#pragma once

#include <sys/uio.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <sstream>
#include <string>

#include "base/testing/temporary_folder.h"
#include "protocol/protocol_test.h"
#include "support/qmp_client.h"

namespace ringside::testing {

class Qmp : public Protocol {
 protected:
  static constexpr const char* kDone = QmpClient::kDone;

  void begin(const char* name, GuestOptions options = {}) {
    options.arguments.insert(options.arguments.end(),
                             {"--qmp", "unix:" + path_, "--files", folder_.path()});
    guest_.emplace(name, options);
    guest_->process().await(ChildProcess::Stream::Error, "qmp: listening on unix:" + path_);
  }
  // A guest that counts.
  void begin_counting(Start start, unsigned cpus = 1) {
    begin("counters", {.cpus = cpus, .start = start});
    if (start != Start::Held) guest_->await_said_numbers(cpus);
  }
  QmpClient connect() { return QmpClient(path_); }
  // What the guest has counted, seen by this client.
  std::uint64_t count(QmpClient& qmp) {
    std::ostringstream line;
    line << "xp /1xg 0x" << std::hex << (*guest_)["counters"];
    const std::string text = qmp.monitor(line.str());
    return std::stoull(text.substr(text.find(':') + 2), nullptr, 16);
  }
  // Each request takes a round of the main loop, in which a guest that may run does.
  void expect_still(QmpClient& qmp) {
    const std::uint64_t before = count(qmp);
    for (int i = 0; i < 20; ++i)
      EXPECT_EQ(count(qmp), before);
  }
  void expect_running(QmpClient& qmp) {
    const std::uint64_t before = count(qmp);
    for (const Deadline deadline; count(qmp) == before;)
      ASSERT_FALSE(deadline.passed());
  }
  std::string status(QmpClient& qmp) {
    const std::string answer = qmp.run("query-status");
    const std::size_t at = answer.find("\"status\": \"") + 11;
    return answer.substr(at, answer.find('"', at) - at);
  }
  std::string read_process(std::uint64_t address, std::size_t size) {
    std::string bytes(size, '\0');
    iovec local{bytes.data(), size}, remote{reinterpret_cast<void*>(address), size};
    const ssize_t count = ::process_vm_readv(guest_->process().pid(), &local, 1, &remote, 1, 0);
    EXPECT_EQ(count, static_cast<ssize_t>(size)) << std::strerror(errno);
    return bytes;
  }

  const TemporaryFolder folder_;
  const std::string path_ = folder_ / "qmp";
  std::optional<GuestProcess> guest_;
};

}  // namespace ringside::testing
