#include "engine/kvm/host/kick.h"

#include <pthread.h>

#include <csignal>

namespace ringside::kvm {

int kick_signal() {
  static const int number = [] {
    const int signal = SIGRTMIN + 6;
    struct sigaction action {};
    action.sa_handler = [](int) {};
    sigemptyset(&action.sa_mask);
    ::sigaction(signal, &action, nullptr);
    return signal;
  }();
  return number;
}

void take_only_kicks() {
  sigset_t all_others;
  sigfillset(&all_others);
  sigdelset(&all_others, kick_signal());
  ::pthread_sigmask(SIG_SETMASK, &all_others, nullptr);
}

}  // namespace ringside::kvm
