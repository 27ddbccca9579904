// Finds a guest whose vCPUs are all halted for good, where HLT stays inside KVM_RUN: a thread that
// looks now and then. As long as the vCPUs' threads use the processor it only reads their clocks;
// when all sleep and none has used it since the last look, they come out of KVM_RUN for a moment
// and are asked. Looks that find nothing grow rarer, to two a second. Owned by the engine.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/kvm/entry/system.h"

namespace ringside::kvm {

class KvmVcpu;

class HaltWatch {
 public:
  using Vcpus = std::vector<std::unique_ptr<KvmVcpu>>;
  // `vcpus` are there when it starts, and outlive it.
  HaltWatch(System& system, const Vcpus& vcpus) : system_(system), vcpus_(vcpus) {}
  ~HaltWatch() { stop(); }
  void start();
  void stop();

 private:
  void run();
  // True when no vCPU has run for longer than an interrupt takes since the last time.
  bool all_idle();
  bool halted_for_good();

  System& system_;
  const Vcpus& vcpus_;
  std::mutex lock_;
  std::condition_variable wake_;
  bool quit_ = false;                           // lock_
  std::vector<std::chrono::nanoseconds> used_;  // by each vCPU's thread
  std::thread thread_;
};

}  // namespace ringside::kvm
