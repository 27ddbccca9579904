// What a kind of virtio device is, whatever its transport: its queues' requests and its
// configuration. Owned by Machine.
#pragma once

#include <cstdint>
#include <span>

#include "base/state_visitor.h"
#include "machine/virtio/allowance.h"
#include "machine/virtio/virtio_queue.h"

namespace ringside::machine {

class VirtioDevice {
 public:
  virtual ~VirtioDevice() = default;
  virtual std::uint32_t id() const = 0;        // virtio 1.2, 5
  virtual std::uint64_t features() const = 0;  // of the kind of device, without the transport's
  virtual std::span<const std::byte> configuration() const = 0;
  // At most VirtioFacilities::kMaxQueues.
  virtual unsigned queues() const { return 1; }

  // State beside that of a request, in which begin() and go_on() are to find it again.
  virtual void reset() {}
  virtual void visit_state(StateVisitor& /*visitor*/) {}

  // The queue's buffers are for what comes from outside, and wait for it: deliver() serves it.
  virtual bool receives(unsigned /*queue*/) const { return false; }
  enum class Delivery : std::uint8_t {
    Done,       // one message is in the guest's memory, and the queue's used ring says so
    Nothing,    // none has come
    NoBuffers,  // it waits until the guest gives more
    Broken,     // the queue makes no sense
  };
  // Of such a queue: one message.
  virtual Delivery deliver(unsigned /*queue*/, VirtioQueue& /*buffers*/,
                           std::uint64_t /*drivers_features*/, Allowance& /*allowance*/) {
    return Delivery::Nothing;
  }

  // One request after the other, of all other queues. False: the chain makes no sense.
  virtual bool begin(unsigned queue, const VirtioChain& chain) = 0;
  enum class Progress : std::uint8_t {
    Over,
    More,    // the allowance is spent
    Waits,   // the host is not ready, and nothing of the machine has changed
    Broken,  // the chain makes no sense after all
  };
  // The request goes on only with something from outside, which comes as an input.
  virtual bool awaits_input() const { return false; }
  // The request goes on only when whoever takes the device's output has room for it. Which part of
  // its work a device does next must not depend on that.
  virtual bool awaits_room() const { return false; }
  // Goes on with the request, as far as the allowance goes. Not while it awaits an input or room.
  virtual Progress go_on(Allowance& allowance) = 0;
  // How many bytes of the request's chain it has written.
  virtual std::uint32_t written() const = 0;
  // The state of a request that is not over.
  virtual void visit_request(StateVisitor& visitor) = 0;
};

}  // namespace ringside::machine
