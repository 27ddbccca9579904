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

  // One request after the other, of all queues. False: the chain makes no sense.
  virtual bool begin(unsigned queue, const VirtioChain& chain) = 0;
  enum class Progress : std::uint8_t {
    Over,
    More,    // the allowance is spent
    Waits,   // the host is not ready, and nothing of the machine has changed
    Broken,  // the chain makes no sense after all
  };
  // Goes on with the request, as far as the allowance goes.
  virtual Progress go_on(Allowance& allowance) = 0;
  // How many bytes of the request's chain it has written.
  virtual std::uint32_t written() const = 0;
  // The state of a request that is not over.
  virtual void visit_request(StateVisitor& visitor) = 0;
};

}  // namespace ringside::machine
