#include "parts.h"

#include <map>
#include <stdexcept>

#include "clock.h"

namespace ringside::bench {
namespace {

using testing::ChildProcess;
using Stream = ChildProcess::Stream;

// By measure and part.
std::map<std::string, std::string>& digests() {
  static std::map<std::string, std::string> result;
  return result;
}

}  // namespace

PartTime await_part(ChildProcess& process, const std::string& measure, const std::string& name) {
  const testing::Deadline deadline(std::chrono::minutes(3));
  process.await(Stream::Output, "BEGIN " + name, deadline);
  const auto from = Clock::now();
  const double used_before = processor_time(process.pid());
  process.await(Stream::Output, "END " + name + " status ", deadline);
  const PartTime time{since(from), processor_time(process.pid()) - used_before};
  const std::string status = process.await_line(Stream::Output, "END " + name + " ");
  const std::string digest = process.await_line(Stream::Output, "DIGEST " + name + " ");
  if (!status.starts_with("END " + name + " status 0"))
    throw std::runtime_error(status + ":\n" + process.text(Stream::Output));
  const auto known = digests().emplace(measure + " " + name, digest).first;
  if (known->second != digest)
    throw std::runtime_error("not the same work: " + known->second + ", " + digest);
  return time;
}

}  // namespace ringside::bench
