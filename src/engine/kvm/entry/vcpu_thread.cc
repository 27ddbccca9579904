#include "engine/kvm/entry/vcpu_thread.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <string_view>
#include <utility>

#include "engine/kvm/host/kick.h"

namespace ringside::kvm {
namespace {

thread_local VcpuThread* this_thread = nullptr;

}  // namespace

std::atomic_ref<std::uint8_t> immediate_exit(kvm_run& run) {
  return std::atomic_ref<std::uint8_t>(run.immediate_exit);
}

VcpuThread::VcpuThread(Handover& handover, RunGate& gate, VcpuFile& file)
    : handover_(handover), gate_(gate), run_(file.run()) {
  gate_.add(*this);
}

VcpuThread* VcpuThread::of_this_thread() { return this_thread; }

void VcpuThread::start(std::function<void()> body) {
  thread_ = std::thread([this, body = std::move(body)] {
    take_only_kicks();
    this_thread = this;
    stat_file_.reset(::open("/proc/thread-self/stat", O_RDONLY | O_CLOEXEC));
    stat_ = stat_file_.get();
    stat_.notify_one();
    body();
  });
  stat_.wait(kNotYet);
  ::pthread_getcpuclockid(thread_.native_handle(), &processor_clock_);
}

void VcpuThread::stop() {
  if (!thread_.joinable()) return;
  {
    const Handover::Lock lock = handover_.lock();
    handover_.requests(lock).quit = true;
  }
  kick();
  thread_.join();
}

// Either the thread sees attention_ before it enters the guest, or it is seen running here and gets
// the signal; and a signal that comes before KVM_RUN has begun is made up for by immediate_exit.
void VcpuThread::kick() {
  if (this == this_thread) return;
  attention_ = true;
  if (running_) {
    immediate_exit(run_).store(1);
    ::pthread_kill(thread_.native_handle(), kick_signal());
  }
  { const Handover::Lock lock = handover_.lock(); }  // not between the thread's look and its sleep
  handover_.notify();
}

void VcpuThread::call_out() {
  if (!running_) return;
  kick();
  running_.wait(true);
}

bool VcpuThread::begin_run() {
  for (;;) {
    immediate_exit(run_).store(0);
    running_ = true;
    if (!attention_ && !gate_.closed_to(*this)) return true;
    running_ = false;
    running_.notify_all();
    if (attention_) return false;
    gate_.wait_until_open(*this);
  }
}

void VcpuThread::end_run() {
  running_ = false;
  if (gate_.closed()) running_.notify_all();
}

std::chrono::nanoseconds VcpuThread::time_used() const {
  timespec used{};
  ::clock_gettime(processor_clock_, &used);
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

// proc(5): after the name in brackets. True where there is no /proc.
bool VcpuThread::asleep() const {
  std::array<char, 256> text;
  const ssize_t size = ::pread(stat_, text.data(), text.size(), 0);
  if (size <= 0) return true;
  const std::string_view line(text.data(), static_cast<std::size_t>(size));
  const std::size_t name_end = line.rfind(')');
  return name_end != std::string::npos && line.compare(name_end, 3, ") S") == 0;
}

}  // namespace ringside::kvm
