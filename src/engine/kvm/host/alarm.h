// Calls the vCPU thread that makes it out of KVM_RUN again and again, until it is gone. For waits
// that must not be long because others are kept out of the guest meanwhile.
#pragma once

#include <ctime>

namespace ringside::kvm {

class Alarm {
 public:
  Alarm();
  ~Alarm();
  Alarm(const Alarm&) = delete;

 private:
  timer_t timer_{};
  bool armed_ = false;
};

}  // namespace ringside::kvm
