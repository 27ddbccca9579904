// The signal that brings a vCPU thread out of KVM_RUN. It does nothing by itself; what the thread
// is wanted for is in the vCPU's flags.
#pragma once

namespace ringside::kvm {

// A real-time signal that nothing else uses. Its handler is installed by the first call, which must
// come before any vCPU thread starts.
int kick_signal();
// For a vCPU thread: every other signal goes to other threads.
void take_only_kicks();

}  // namespace ringside::kvm
