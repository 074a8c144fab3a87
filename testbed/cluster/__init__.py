"""A real Kubernetes node on this machine: etcd, control plane, kubelet, containerd and DNS.

`python -m testbed.cluster` starts one until Ctrl-C. It needs root and Debian 12's packages. Everything runs in network,
mount and process namespaces of its own: when their first process ends, the kernel ends all others, and removes
interfaces, firewall rules and mounts. No image is pulled: `images` writes them from executables and folders.
"""
